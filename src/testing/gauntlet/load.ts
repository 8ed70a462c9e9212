// The load of a gauntlet: clients that send a given number of items a second on average, whatever
// happens to whom they send it.
// In:  clients, a generator, a rate.
// Out: a history that grows until stopped.
// Absent: faults.

import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../client.ts'
import type { Generator } from '../generate.ts'
import { running, type RunningLoad } from '../load.ts'
import type { Random } from '../random.ts'

export interface SteadyLoadOptions {
  clients: readonly Client[]
  generator: Generator
  random: Random
  itemsPerSecond: number
}

/** Batches that a client gives up after one request without an answer, as if it had crashed. */
const abandonShare = 0.2
/** What could not be sent while nobody answered is sent later, as far as so many seconds go. */
const catchUpSeconds = 6
const lookMs = 10

export function startSteadyLoad(options: SteadyLoadOptions): RunningLoad {
  const { clients, generator, random, itemsPerSecond } = options
  const stopped = new AbortController()
  let due = 0
  let lookedAt = performance.now()
  const accrue = (): void => {
    const now = performance.now()
    due += ((now - lookedAt) / 1000) * itemsPerSecond
    due = Math.min(due, catchUpSeconds * itemsPerSecond)
    lookedAt = now
  }
  const work = async (client: Client): Promise<void> => {
    while (!stopped.signal.aborted && !client.isClosed) {
      accrue()
      if (due <= 0) {
        await delay(lookMs)
        continue
      }
      const batch = generator.batch()
      due -= batch.count
      if (random.chance(abandonShare)) await client.send(batch)
      else await client.deliver(batch)
    }
  }
  return running(clients, work, stopped)
}
