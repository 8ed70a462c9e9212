// The load generator as the measuring process sees it.
// In:  how to start it, what to send.
// Out: its counts, its latencies, what became of every request.
// Absent: sending (generator.mjs).

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Bodies } from './bodies.mjs'
import { RequestLog } from './requests.mjs'

/** The hidden flag that makes the bench program a load generator. */
export const generatorFlag = '--load-generator'

const none = { acknowledgedItems: 0, newItems: 0, refusals: 0, errors: 0, sent: 0 }

/**
 * Starts a load generator and resolves once it has its bodies. `bodies` are options of Bodies but
 * for the seed.
 *
 * @param {{ benchCommand: string[], directory: string, urls: string[], connections: number,
 *   bodies: object, driver?: 'closed' | 'paced', rate?: number, dropsOverdue?: boolean,
 *   patientEvery?: number, countsFromSending?: boolean }} options
 */
export async function prepareLoad({ benchCommand, directory, bodies, ...options }) {
  const [command, ...args] = benchCommand
  const child = spawn(command, [...args, generatorFlag], { stdio: ['pipe', 'pipe', 'inherit'] })
  const file = join(directory, `requests-${child.pid}`)
  const seeded = { ...bodies, seed: randomBytes(16).toString('hex') }
  const answers = new Map()
  let counts = none
  let failed
  const fail = (error) => {
    failed = error
    for (const { reject } of answers.values()) reject(error)
  }
  const exited = once(child, 'exit')
  child.once('error', fail).once('exit', (code) => {
    if (code !== 0) fail(new Error(`the load generator ended with code ${code}`))
  })
  child.stdin.on('error', () => {})
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { kind, ...message } = JSON.parse(line)
    if (kind === 'progress') counts = message
    else answers.get(kind)?.resolve(message)
  })
  const tell = (message) => child.stdin.write(`${JSON.stringify(message)}\n`)
  const answer = (kind) =>
    new Promise((resolve, reject) => {
      answers.set(kind, { resolve, reject })
      if (failed) reject(failed)
    })
  const prepared = answer('prepared')
  tell({ kind: 'prepare', bodies: seeded })
  // Built twice, at the same time: here for whoever wants to know what is sent.
  const sent = new Bodies(seeded)
  await prepared
  return {
    pid: child.pid,
    bodies: sent,
    start: () => tell({ kind: 'start', file, ...options }),
    /** What was sent and answered up to a quarter of a second ago. */
    get counts() {
      if (failed) throw failed
      return counts
    },
    /** Requests a second, Infinity for as many as are answered; over some of the connections. */
    setRate: (rate, among) => tell({ kind: 'rate', rate, connections: among }),
    beginWindow: () => tell({ kind: 'window' }),
    /** Latencies since the window began. */
    endWindow() {
      const latencies = answer('window')
      tell({ kind: 'windowEnd' })
      return latencies
    },
    /** Ends the load; resolves with bodies that know what became of each request. */
    async stop() {
      const done = answer('done')
      tell({ kind: 'stop' })
      await done
      await exited
      sent.requests = RequestLog.load(file)
      return sent
    },
    kill: () => child.kill('SIGKILL'),
  }
}
