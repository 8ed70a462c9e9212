// Several clients at once, each sending what it makes or is given.
// In:  clients, a generator or batches, and when to stop.
// Out: a history that grows until stopped.
// Absent: starting or stopping the program.

import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client.ts'
import type { Generator } from './generate.ts'
import type { SentBatch } from './history.ts'
import type { Random } from './random.ts'

export interface LoadOptions {
  clients: readonly Client[]
  generator: Generator
  random: Random
  /**
   * Share of the batches that a client gives up after one request without an answer, as a client
   * that crashed would; the others are sent again until they are answered.
   */
  abandonShare: number
  /** How long each client pauses between two batches. */
  paceMs?: number
  /** Contents the history may come to hold; then the clients stop by themselves. */
  contentsMax?: number
}

export interface RunningLoad {
  /** Makes no new batches; resolves when what is under way is acknowledged, or abandoned. */
  stop(): Promise<void>
  /** Resolves when `contentsMax` is reached and everything is answered. */
  finished: Promise<void>
}

export function startLoad(options: LoadOptions): RunningLoad {
  const { clients, generator, random, abandonShare, paceMs = 0, contentsMax = Infinity } = options
  const stopped = new AbortController()
  const work = async (client: Client): Promise<void> => {
    const goesOn = (): boolean => !stopped.signal.aborted && !client.isClosed
    while (goesOn() && generator.history.count < contentsMax) {
      const batch = generator.batch(contentsMax - generator.history.count)
      if (random.chance(abandonShare)) await client.send(batch)
      else await client.deliver(batch)
      if (paceMs > 0) await delay(paceMs)
    }
  }
  return running(clients, work, stopped)
}

/** The load that clients make by working until `stopped`, or until they have done enough. */
export function running(
  clients: readonly Client[],
  work: (client: Client) => Promise<void>,
  stopped: AbortController,
): RunningLoad {
  const finished = Promise.all(clients.map(work)).then(() => undefined)
  return {
    finished,
    stop: () => {
      stopped.abort()
      return finished
    },
  }
}

/** Sends these batches, shared out among the clients, each until it is acknowledged or refused. */
export async function deliverAll(
  clients: readonly Client[],
  batches: readonly SentBatch[],
): Promise<void> {
  let next = 0
  const work = async (client: Client): Promise<void> => {
    for (let batch = batches.at(next++); batch !== undefined; batch = batches.at(next++)) {
      await client.deliver(batch)
    }
  }
  await Promise.all(clients.map(work))
}
