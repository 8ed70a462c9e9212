// Processes of the program that die, sleep, or end themselves at a chosen instant.
// In:  a scene.
// Out: faults.
// Absent: PostgreSQL and brokers.

import { crashPoints, type CrashPoint } from '../../crash.ts'
import type { Random } from '../../random.ts'
import { killPostgres, startPostgres } from './postgres.ts'
import type { Fault, Heal, LogKind, Member, MemberRole, Scene } from '../fault.ts'

/** Reached under any load; the others need leaves to be opened, or ranges to be rolled up. */
const usualPoints: readonly CrashPoint[] = crashPoints.filter(
  (point) => !/leaf|rollup|claim/.test(point),
)
const crashMsMax = 3_000

function one(scene: Scene, role: MemberRole, random: Random): Member {
  return random.pick(scene.members.filter((member) => member.role === role))
}

function kills(role: MemberRole, logs: readonly LogKind[]): Fault {
  return {
    name: role === 'all' ? 'kill-program' : `kill-${role}`,
    kind: 'process',
    what: 'SIGKILL; it is started again with the same flags.',
    logs,
    holdMs: [0, 800],
    inject: async (scene, random) => {
      const member = one(scene, role, random)
      await member.kill()
      return () => {
        member.start()
        return Promise.resolve()
      }
    },
  }
}

function freezes(role: MemberRole, logs: readonly LogKind[], longestMs: number): Fault {
  return {
    name: role === 'all' ? 'freeze-program' : `freeze-${role}`,
    kind: 'process',
    what: 'SIGSTOP, then SIGCONT.',
    logs,
    holdMs: [200, longestMs],
    inject: async (scene, random) => {
      const member = one(scene, role, random)
      member.stop()
      return () => {
        member.resume()
        return Promise.resolve()
      }
    },
  }
}

/** Ends by SIGKILL at one of the instants worth aiming at; whoever does not get there is killed. */
function crashes(role: MemberRole, logs: readonly LogKind[]): Fault {
  return {
    name: role === 'all' ? 'crash-point' : `crash-point-${role}`,
    kind: 'process',
    what: 'Restarted so that it ends itself by SIGKILL in the middle of a chosen step.',
    logs,
    holdMs: [0, 200],
    inject: async (scene, random) => {
      const member = one(scene, role, random)
      const point = random.pick(usualPoints)
      const times = random.between(1, 20)
      await member.kill()
      member.start('--crash-at', `${point}:${times}`)
      scene.note(`${member.name} is to end at ${point}, time ${times}`)
      const end = await member.program.awaitEnd(crashMsMax).catch(() => undefined)
      if (end === undefined) await member.kill()
      return () => {
        member.start()
        return Promise.resolve()
      }
    },
  }
}

const killEverything: Fault = {
  name: 'kill-everything',
  kind: 'process',
  what: 'SIGKILL of every process of the program and of the postmaster at once.',
  logs: ['embedded', 'kafka'],
  holdMs: [0, 500],
  inject: async (scene): Promise<Heal> => {
    await Promise.all([...scene.members.map((member) => member.kill()), killPostgres(scene)])
    return async () => {
      for (const member of scene.members) member.start()
      await startPostgres(scene)
    }
  },
}

export const processFaults: readonly Fault[] = [
  kills('all', ['embedded']),
  kills('ingress', ['kafka']),
  kills('worker', ['kafka']),
  freezes('all', ['embedded'], 2_000),
  freezes('ingress', ['kafka'], 2_000),
  // Longer than the group waits at times, so that others take its partitions while it sleeps.
  freezes('worker', ['kafka'], 9_000),
  crashes('all', ['embedded']),
  crashes('worker', ['kafka']),
  killEverything,
]
