// What goes wrong in a simulation, by name.
// In:  a world; chance.
// Out: processes that die, sessions that break, servers that forget.
// Absent: when (world.ts).

import { cutKinds } from './database/client.ts'
import { simulatedPartitions } from './product.ts'
import type { SimulatedProcess } from './process.ts'
import type { World } from './world.ts'

type Fault = (world: World) => void

/** Past this, a group takes a process that stands still for dead. */
const groupPatienceMs = 800

export const faults = {
  /** kill -9, or a machine that loses its power; another process begins a little later. */
  kill(world) {
    const process = alive(world)
    if (!process) return
    process.kill(world.random.chance(0.4))
    world.startLater()
  },
  /** SIGTERM, and another process. */
  stop(world) {
    const process = alive(world)
    if (!process || process.isStopping) return
    process.stop(() => world.startLater())
  },
  /** SIGSTOP and SIGCONT. */
  pause(world) {
    const process = alive(world)
    if (process) pause(world, process, world.random.between(100, 3500))
  },
  /** A process sleeps through a restore, after which others claim what it had. */
  oversleep(world) {
    const { scheduler, random, group } = world
    faults.backup(world)
    group.rebalanceLater()
    scheduler.after(random.between(300, 900), undefined, () => {
      const process = alive(world)
      if (process) pause(world, process, 3500)
      scheduler.after(random.between(50, 400), undefined, () => {
        // Who was given fixed partitions and lost them in a restore waits for an operator.
        if (!world.isHealed) faults.restore(world)
      })
    })
  },
  /** A worker thread dies. */
  thread(world) {
    const threads = [...(alive(world)?.threads ?? [])]
    if (threads.length > 0) world.random.pick(threads).die()
  },
  /** Connections to PostgreSQL break: all of them, or one in the midst of what it does. */
  cut(world) {
    const { random } = world
    const clients = [...world.clients]
    const kind = random.pick(cutKinds)
    if (clients.length === 0) return
    if (random.chance(0.2)) for (const client of clients) client.break(kind)
    else random.pick(clients).breakAfter(random.between(0, 6), kind)
  },
  /** The next COMMITs are sent, and nobody hears what became of them. */
  commits(world) {
    const { random, clients, load } = world
    for (const client of clients) {
      client.breakAt('COMMIT', random.chance(0.5) ? 'held' : random.pick(cutKinds))
    }
    load.burst()
  },
  /** An operator's, or a claim's, pg_terminate_backend. */
  terminate(world) {
    world.database.terminateSome(world.random)
  },
  /** PostgreSQL crashes: commits that are not on disk are gone. */
  crash(world) {
    world.database.crash()
    world.startDatabaseLater()
  },
  backup(world) {
    if (world.database.durable.checkpoints.size === simulatedPartitions) world.database.takeBackup()
  },
  /** PostgreSQL comes back as it was at the backup. */
  restore(world) {
    if (world.database.restore()) world.startDatabaseLater()
  },
  /** The log refuses, or takes what it does not confirm; reads fail. */
  outage(world) {
    world.topic.outage = world.random.pick(['refuses', 'loses-answers'])
    const milliseconds = world.random.between(50, 2000)
    world.scheduler.after(milliseconds, undefined, () => (world.topic.outage = undefined))
  },
  /** The group assigns anew, some times in a row. */
  storm(world) {
    for (let i = 0; i < 4; i++) {
      const milliseconds = world.random.between(0, 1500)
      world.scheduler.after(milliseconds, undefined, () => world.group.rebalanceLater())
    }
  },
  /** A process's clock steps. */
  clock(world) {
    const process = alive(world)
    if (process) process.clockErrorMs = world.random.between(-5000, 5000)
  },
  /** A second process for the same data, by mistake. */
  twice(world) {
    if (world.setting.isEmbedded) world.start()
  },
} as const satisfies Record<string, Fault>

/** Those after which something has to halt: only in worlds made for it. */
export const losses = {
  /** Retention deletes what was not applied: PostgreSQL was away for too long. */
  retention(world) {
    const { random, topic, scheduler, load } = world
    faults.crash(world)
    load.burst()
    scheduler.after(random.between(50, 600), undefined, () => {
      const partition = random.below(simulatedPartitions)
      topic.trim(partition, topic.partitions[partition].next)
    })
  },
  /** The topic is deleted, and another made under its name. */
  recreation(world) {
    world.topic.recreate('another log')
    for (const process of [...world.processes]) process.kill(false)
    world.startLater()
  },
} as const satisfies Record<string, Fault>

export type FaultName = keyof typeof faults | keyof typeof losses

function alive(world: World): SimulatedProcess | undefined {
  return world.processes.length > 0 ? world.random.pick(world.processes) : undefined
}

function pause(world: World, process: SimulatedProcess, milliseconds: number): void {
  const { scheduler, group } = world
  process.pausedUntil = scheduler.now + milliseconds
  if (milliseconds < groupPatienceMs) return
  scheduler.after(groupPatienceMs, undefined, () => {
    const members = group.remove(process)
    scheduler.after(milliseconds, undefined, () => group.rejoin(members))
  })
}
