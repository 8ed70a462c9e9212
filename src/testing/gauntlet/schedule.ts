// Which faults strike, in which order, for how long: a pure function of the seed.
// In:  a seed, a length, and the faults to choose from.
// Out: rounds of steps, and the same as text.
// Absent: clocks. A step begins when the one before has been recovered from.

import { Random } from '../random.ts'
import type { Fault, LogKind } from './fault.ts'

export interface Step {
  /** Counted from 1 over the whole run. */
  number: number
  /** One fault, or two that overlap. */
  faults: readonly string[]
  /** From the last injection to the first healing. */
  holdMs: number
  /** From the recovery of the step before. */
  pauseMs: number
  /** Of the chances within the faults. */
  seed: number
}

export interface Schedule {
  seed: number
  minutes: number
  log: LogKind
  /** After each round the load pauses and everything is checked. */
  rounds: readonly { steps: readonly Step[]; lengthMs: number }[]
}

export interface ScheduleOptions {
  seed: number
  minutes: number
  log: LogKind
  faults: readonly Pick<Fault, 'name' | 'holdMs' | 'weight'>[]
}

const roundMinutes = 10
const pairShare = 0.35
const pauseMsLeast = 50
const pauseMsMost = 350

/** Steps enough to fill the time if every recovery took none. */
export function makeSchedule({ seed, minutes, log, faults }: ScheduleOptions): Schedule {
  const random = new Random(log === 'embedded' ? seed : ~seed)
  const deck = new Deck(faults, random)
  const count = Math.max(1, Math.round(minutes / roundMinutes))
  const lengthMs = Math.round((minutes * 60_000) / count)
  let number = 0
  const rounds = Array.from({ length: count }, () => {
    const steps: Step[] = []
    for (let filledMs = 0; filledMs < lengthMs && faults.length > 0;) {
      const step = nextStep(++number, deck, random)
      steps.push(step)
      filledMs += step.pauseMs + step.holdMs
    }
    return { steps, lengthMs }
  })
  return { seed, minutes, log, rounds }
}

function nextStep(number: number, deck: Deck, random: Random): Step {
  const first = deck.draw()
  const second = random.chance(pairShare) ? deck.draw() : first
  const faults = second === first ? [first] : [first, second]
  const spans = faults.map(({ holdMs: [least, most] }) => random.between(least, most))
  return {
    number,
    faults: faults.map(({ name }) => name),
    holdMs: Math.max(...spans),
    pauseMs: random.between(pauseMsLeast, pauseMsMost),
    seed: random.uint32(),
  }
}

/** Every fault has its turn before one has its second, as with cards. */
class Deck {
  readonly #cards: readonly ScheduleOptions['faults'][number][]
  readonly #random: Random
  #left: ScheduleOptions['faults'][number][] = []

  constructor(faults: ScheduleOptions['faults'], random: Random) {
    this.#cards = faults.flatMap((fault) => Array.from({ length: fault.weight ?? 1 }, () => fault))
    this.#random = random
  }

  draw(): ScheduleOptions['faults'][number] {
    if (this.#left.length === 0) this.#left = [...this.#cards]
    const at = this.#random.below(this.#left.length)
    const [card] = this.#left.splice(at, 1)
    if (card === undefined) throw new RangeError('Expected a fault to draw, found none.')
    return card
  }
}

export function scheduleLines({ rounds }: Schedule): string[] {
  return rounds.flatMap(({ steps }, index) => [
    `round ${index + 1} of ${rounds.length}`,
    ...steps.map(stepLine),
  ])
}

export function stepLine({ number, faults, holdMs, pauseMs, seed }: Step): string {
  return `  ${number} ${faults.join(' + ')}: after ${pauseMs} ms, for ${holdMs} ms, chances ${seed}`
}
