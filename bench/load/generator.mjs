// The load generator: a process of its own, so that its work neither disturbs the clock nor counts
// as the program's.
// In:  on stdin, one JSON document a line: what to send, then when to measure and when to stop.
// Out: on stdout, one JSON document a line: progress, figures of a window, the end; a file with what
//      became of every request.
// Absent: knowing what is measured.

import { createInterface } from 'node:readline'
import { Histogram } from '../support/histogram.mjs'
import { Bodies } from './bodies.mjs'
import { driveClosed } from './closed.mjs'
import { drivePaced } from './paced.mjs'
import { acknowledged } from './requests.mjs'

const progressMs = 250

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

/** What was answered so far, and how fast since the window began. */
class Answers {
  counts = { acknowledgedItems: 0, newItems: 0, refusals: 0, errors: 0 }
  #window = new Histogram()
  /** Of what was answered 503, from when it was sent. */
  #refused = new Histogram()
  /** The longest time without an acknowledgement, in ms. */
  #silence = 0
  #lastAt = performance.now()
  #bodies

  #countsFromSending

  constructor(bodies, { countsFromSending = false }) {
    this.#bodies = bodies
    this.#countsFromSending = countsFromSending
  }

  onAnswer = (number, status, ms, sinceSentMs) => {
    this.#bodies.requests.answer(number, status)
    if (this.#bodies.requests.stateOf(number) !== acknowledged) {
      this.counts.refusals++
      if (status === 503 && sinceSentMs !== undefined) this.#refused.record(sinceSentMs)
      return
    }
    this.counts.acknowledgedItems += this.#bodies.items
    this.counts.newItems += this.#bodies.newItems(number)
    this.#window.record(this.#countsFromSending ? sinceSentMs : ms)
    this.#hear()
  }

  #hear() {
    const now = performance.now()
    this.#silence = Math.max(this.#silence, now - this.#lastAt)
    this.#lastAt = now
  }

  onError = () => {
    this.counts.errors++
  }

  /** Latencies and the longest silence since the last call. */
  takeWindow() {
    const window = this.#window
    this.#hear()
    const longestSilence = this.#silence
    const refused = this.#refused.summary()
    this.#window = new Histogram()
    this.#refused = new Histogram()
    this.#silence = 0
    return { ...window.summary(), longestSilence, buckets: window.buckets(), refused }
  }
}

async function start(bodies, config) {
  const answers = new Answers(bodies, config)
  const { urls, connections, dropsOverdue, patientEvery } = config
  const rate = config.rate ?? Infinity
  const { onAnswer, onError } = answers
  const drive = config.driver === 'paced' ? drivePaced : driveClosed
  const isPatient = (index) => patientEvery > 0 && index % patientEvery === 0
  const settings = { urls, connections, rate, bodies, dropsOverdue, isPatient }
  const driver = await drive({ ...settings, onAnswer, onError })
  const progress = () => say({ kind: 'progress', ...answers.counts, sent: bodies.requests.count })
  const timer = setInterval(progress, progressMs)
  return {
    window: () => void answers.takeWindow(),
    windowEnd: () => say({ kind: 'window', ...answers.takeWindow() }),
    // JSON has no Infinity.
    rate: ({ rate: next, connections: among }) => driver.setRate(next ?? Infinity, among),
    async stop() {
      await driver.stop()
      clearInterval(timer)
      progress()
      bodies.requests.save(config.file)
      say({ kind: 'done' })
      process.exit(0)
    },
  }
}

/** Serves the process that has started this one, until it says stop or goes away. */
export async function runGenerator() {
  const lines = createInterface({ input: process.stdin })
  let bodies
  let load
  for await (const line of lines) {
    const message = JSON.parse(line)
    if (message.kind === 'prepare') {
      bodies = new Bodies(message.bodies)
      say({ kind: 'prepared' })
    } else if (message.kind === 'start') load = await start(bodies, message)
    else await load[message.kind](message)
  }
  process.exit(1)
}
