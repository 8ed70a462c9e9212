// Clients that abort, stall, replay and conflict.
// In:  a scene.
// Out: faults; every request is in the history, as those of the load are.
// Absent: malformed bodies: they are refused, and tell nothing of the log.

import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { contentTypes, encodeBody } from '../../body.ts'
import { Client } from '../../client.ts'
import { beginAttempt, endAttempt, fateOf, type SentBatch } from '../../history.ts'
import { deliverAll } from '../../load.ts'
import type { Random } from '../../random.ts'
import type { Fault, Heal, LogKind, Scene } from '../fault.ts'

const everywhere: readonly LogKind[] = ['embedded', 'kafka']
const crowd = 12
const abortEveryMs = 100

/** The bytes of a request, as somebody writes them who will not wait for the end. */
function requestBytes(scene: Scene, batch: SentBatch): Buffer {
  const body = encodeBody(scene.history, batch, 'json')
  const head =
    'POST /v1/transactions HTTP/1.1\r\nHost: ledger\r\n' +
    `Content-Type: ${contentTypes.json}\r\nContent-Length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

async function connected(target: string): Promise<Socket | undefined> {
  const { hostname, port } = new URL(target)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  socket.on('error', () => undefined)
  await once(socket, 'connect').catch(() => undefined)
  return socket.destroyed ? undefined : socket
}

/** Writes all or part of a request, and cuts the connection before any answer can be read. */
async function abort(scene: Scene, random: Random): Promise<void> {
  const batch = scene.generator.batch()
  const bytes = requestBytes(scene, batch)
  const share = random.chance(0.5) ? 1 : random.fraction()
  const waitMs = random.between(0, 30)
  const target = random.pick(scene.targets())
  const attempt = beginAttempt(batch, 'client that aborts')
  const socket = await connected(target)
  socket?.write(bytes.subarray(0, Math.ceil(bytes.length * share)))
  await delay(waitMs)
  socket?.resetAndDestroy()
  endAttempt(attempt, 'unanswered', `aborted after ${Math.round(share * 100)} % of the request`)
}

const clientAbort: Fault = {
  name: 'client-abort',
  kind: 'client',
  what: 'Clients reset their connection within a request, or right behind it.',
  logs: everywhere,
  holdMs: [300, 1_000],
  inject: (scene, random) => {
    const over = new AbortController()
    const work = Array.from({ length: crowd }, async () => {
      while (!over.signal.aborted) {
        await abort(scene, random)
        await delay(abortEveryMs)
      }
    })
    return Promise.resolve(async () => {
      over.abort()
      await Promise.all(work)
    })
  },
}

/** Half of a request, then nothing; at last the other half. */
async function stall(scene: Scene, random: Random, over: Promise<void>): Promise<void> {
  const batch = scene.generator.batch()
  const bytes = requestBytes(scene, batch)
  const cut = random.between(1, bytes.length - 1)
  const target = random.pick(scene.targets())
  const attempt = beginAttempt(batch, 'client that stalls')
  const socket = await connected(target)
  let answer = ''
  socket?.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk))
  socket?.write(bytes.subarray(0, cut))
  await over
  if (socket !== undefined && !socket.destroyed) {
    socket.write(bytes.subarray(cut))
    const answered = once(socket, 'data').catch(() => undefined)
    await Promise.race([answered, once(socket, 'close'), delay(5_000)])
    socket.destroy()
  }
  const isTaken = answer.startsWith('HTTP/1.1 202')
  const found = answer.slice(0, 200).replaceAll('\r\n', ' ')
  endAttempt(attempt, isTaken ? 'acknowledged' : 'unanswered', `stalled; ${found || 'no answer'}`)
}

const clientStall: Fault = {
  name: 'client-stall',
  kind: 'client',
  what: 'Clients send part of a request, wait, and then the rest.',
  logs: everywhere,
  holdMs: [500, 3_000],
  inject: (scene, random) => {
    let end: () => void = () => undefined
    const over = new Promise<void>((resolve) => (end = resolve))
    const work = Array.from({ length: crowd }, () => stall(scene, random, over))
    return Promise.resolve(async () => {
      end()
      await Promise.all(work)
    })
  },
}

/** Clients of the fault's own, that send these batches until they are answered. */
function sending(scene: Scene, name: string, batches: readonly SentBatch[]): Heal {
  const { history } = scene
  const clients = Array.from(
    { length: 4 },
    () => new Client({ name, history, targets: () => scene.targets() }),
  )
  const work = deliverAll(clients, batches)
  return async () => {
    await work
    for (const client of clients) client.close()
  }
}

const clientReplay: Fault = {
  name: 'client-replay',
  kind: 'client',
  what: 'Batches of any time before are sent again, acknowledged or not.',
  logs: everywhere,
  holdMs: [100, 500],
  inject: (scene, random) => {
    const earlier = scene.history.batches.filter(({ attempts }) => attempts.length > 0)
    const batches = Array.from({ length: crowd }, () => random.pick(earlier))
    return Promise.resolve(sending(scene, 'client that replays', batches))
  },
}

const clientConflict: Fault = {
  name: 'client-conflict',
  kind: 'client',
  what: 'Acknowledged transactions are sent again with other amounts.',
  logs: everywhere,
  holdMs: [100, 500],
  inject: (scene, random) => {
    const { batches } = scene.history
    const taken = Array.from({ length: crowd }, () => random.pick(batches)).filter(
      (batch) => fateOf(batch) === 'acknowledged' && isWithoutRepeats(scene, batch),
    )
    const rivals = taken.map((batch) => scene.generator.rivals(batch))
    return Promise.resolve(sending(scene, 'client that conflicts', rivals))
  },
}

/** A key twice in one request with two amounts would be refused. */
function isWithoutRepeats({ history }: Scene, batch: SentBatch): boolean {
  const keys = new Set<string>()
  for (let i = batch.first; i < batch.first + batch.count; i++) {
    keys.add(Buffer.concat([history.idOf(i), history.accountOf(i)]).toString('latin1'))
  }
  return keys.size === batch.count
}

export const clientFaults: readonly Fault[] = [
  clientAbort,
  clientStall,
  clientReplay,
  clientConflict,
]
