// Clients: they send new entries, the same again, others under the same key, and try again what
// failed.
// In:  processes to send to.
// Out: requests; what became of each to the history.
// Absent: HTTP.

import { writeEntryFrame } from '../../record/encode.ts'
import { accountIdAt, amountAt, entryBytes, idAt } from '../../record/layout.ts'
import { partitionOfKey } from './database/tables.ts'
import { beginning } from './environment.ts'
import type { SentItem } from './history.ts'
import type { SimulatedProcess } from './process.ts'
import { simulatedPartitions } from './product.ts'
import type { World } from './world.ts'

const accountsPerPartition = 2
const itemsMost = 6

/** The same in every simulation: accounts of every partition. */
const accounts: readonly string[] = findAccounts()

export class Load {
  private readonly world: World
  /** Where those are that were not answered. */
  private readonly unanswered = new Set<{ process: SimulatedProcess }>()
  private readonly items: SentItem[] = []
  private ids = 0

  constructor(world: World) {
    this.world = world
  }

  /** Whether a process that is there has not answered a request. */
  get isWaiting(): boolean {
    return [...this.unanswered].some(({ process }) => !process.ended)
  }

  /** Requests that come shortly after each other. */
  burst(): void {
    const { random, scheduler } = this.world
    for (let i = random.between(1, 5); i > 0; i--) {
      scheduler.after(40 * random.fraction(), undefined, () => this.request())
    }
  }

  /** One request to any process that takes some. */
  private request(): void {
    const { random } = this.world
    const count = random.chance(0.1) ? random.between(7, 14) : random.between(1, itemsMost)
    this.send(Array.from({ length: count }, () => this.item()))
  }

  /** Straight into the log, by somebody who knows nothing of us. */
  strangeRecord(): void {
    const { random, topic, scheduler } = this.world
    const partition = random.below(simulatedPartitions)
    const timestamp = random.chance(0.2) ? -1 : Math.floor(beginning + scheduler.now)
    const isEmpty = random.chance(0.2)
    const length = isEmpty ? 0 : random.pick([1, 46, 47, 60])
    const bytes = new Uint8Array(length)
    random.fill(bytes)
    const other = this.item()
    if (length === 47 && other.partition !== partition) bytes.set(encode([other]))
    topic.append(partition, bytes, timestamp, isEmpty)
  }

  private item(): SentItem {
    const { random, scheduler, history } = this.world
    const known = this.items.length > 0 ? random.pick(this.items) : undefined
    if (known && random.chance(0.12)) return known
    const isConflict = known !== undefined && random.chance(0.08)
    const key = isConflict ? known.key : random.pick(accounts) + this.newId(scheduler.now)
    const amount = BigInt(random.between(-1000, 1000))
    const item = { partition: partitionOfKey(key), key, amount }
    history.wasSent(item)
    this.items.push(item)
    return item
  }

  private newId(now: number): string {
    const id = Buffer.alloc(16)
    id.writeUIntBE(Math.floor(beginning + now), 0, 6)
    id[6] = 0x70
    id[8] = 0x80
    id.writeUInt32BE(this.ids++, 12)
    return id.toString('latin1')
  }

  private send(items: readonly SentItem[]): void {
    const { world } = this
    const ready = world.processes.filter((one) => one.ingress !== undefined)
    if (ready.length === 0) return
    const process = world.random.pick(ready)
    const request = { process }
    this.unanswered.add(request)
    // A process that is killed or stands still answers nobody.
    world.scheduler.after(0, process, () => {
      if (!process.ingress) {
        this.unanswered.delete(request)
        return
      }
      const { appender, log } = process.ingress
      const batch = {
        count: items.length,
        entries: encode(items),
        partitions: Uint8Array.from(items.map(({ partition }) => partition)),
      }
      appender.add(batch).then(
        ({ offsets }) => {
          this.unanswered.delete(request)
          world.trace(() => `${process.name} acknowledges ${items.length} items`)
          // What was acknowledged by a log that is gone cannot be looked up.
          if (log.identity === world.topic.identity) world.history.wasAcknowledged(items, offsets)
        },
        () => {
          this.unanswered.delete(request)
          if (!world.random.chance(0.7)) return
          world.scheduler.after(300 * world.random.fraction(), undefined, () => this.send(items))
        },
      )
    })
  }
}

function encode(items: readonly SentItem[]): Uint8Array {
  const bytes = Buffer.alloc(items.length * entryBytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (const [index, { key, amount }] of items.entries()) {
    const at = index * entryBytes
    writeEntryFrame(view, at)
    bytes.write(key.slice(16), at + idAt, 'latin1')
    bytes.write(key.slice(0, 16), at + accountIdAt, 'latin1')
    bytes.writeBigInt64LE(amount, at + amountAt)
  }
  return bytes
}

function findAccounts(): string[] {
  const found = Array.from({ length: simulatedPartitions }, (): string[] => [])
  for (let i = 0; found.some((own) => own.length < accountsPerPartition); i++) {
    const account = Buffer.alloc(16)
    account.writeUInt32BE(i, 12)
    const text = account.toString('latin1')
    const own = found[partitionOfKey(text)]
    if (own.length < accountsPerPartition) own.push(text)
  }
  return found.flat()
}
