// What a person sees while it runs: one line that is drawn again on a terminal, plain lines now and
// then elsewhere.
// In:  samples, phases.
// Out: text on stderr, so that stdout holds results only.
// Absent: final figures (summary.mjs).

import { count, mebibytes, perSecond } from './format.mjs'

const plainEverySeconds = 2
/** Rates are shown over this many samples, so that they can be read. */
const rateSamples = 4

export class Live {
  #stream
  #phase = ''
  #seconds
  #phaseAt = 0
  #plainAt = -Infinity
  #startedAt = performance.now()

  constructor(stream = process.stderr) {
    this.#stream = stream
  }

  title(text) {
    this.#clear()
    this.#stream.write(`\n${text}\n`)
    this.phase('start')
  }

  /** A part of a run, with its length in seconds where it is known. */
  phase(name, seconds) {
    this.#phase = name
    this.#seconds = seconds
    this.#phaseAt = performance.now()
    this.#plainAt = -Infinity
    this.#draw('')
  }

  sample(sample, samples) {
    const before = samples.at(-1 - rateSamples) ?? samples[0]
    const span = sample.at - before.at
    const rate = (name) =>
      span > 0 && sample[name] !== undefined && before[name] !== undefined
        ? (sample[name] - before[name]) / span
        : undefined
    const parts = [
      `accepted ${perSecond(rate('accepted') ?? rate('acknowledged'))}`,
      `persisted ${perSecond(rate('persisted'))}`,
      `lag ${count(sample.lag)}`,
      ...(sample.programBytes === undefined ? [] : [`RSS ${mebibytes(sample.programBytes)}`]),
      ...(sample.errors > 0 ? [`errors ${count(sample.errors)}`] : []),
      ...(sample.refusals > 0 ? [`refused ${count(sample.refusals)}`] : []),
    ]
    this.#draw(parts.join('  '))
  }

  /** What stands behind the time; for phases that have no samples. */
  show(text) {
    this.#draw(text)
  }

  note(text) {
    this.#clear()
    this.#stream.write(`  ${text}\n`)
  }

  end() {
    this.#clear()
  }

  #draw(text) {
    const seconds = (performance.now() - this.#phaseAt) / 1000
    const of = this.#seconds === undefined ? '' : `/${this.#seconds.toFixed(0)}`
    const total = (performance.now() - this.#startedAt) / 1000
    const line =
      `  ${this.#phase.padEnd(8)} ${seconds.toFixed(0).padStart(3)}${of} s  ${text}` +
      `  (${clock(total)})`
    if (this.#stream.isTTY) {
      this.#clear()
      this.#stream.write(line.slice(0, (this.#stream.columns ?? 120) - 1))
      return
    }
    const now = performance.now() / 1000
    if (text === '' || now - this.#plainAt < plainEverySeconds) return
    this.#plainAt = now
    this.#stream.write(`${line}\n`)
  }

  #clear() {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[2K')
  }
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60)
  return `${minutes}:${String(Math.floor(seconds % 60)).padStart(2, '0')} in all`
}
