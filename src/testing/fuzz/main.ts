// The command line of the fuzzers.
// In:  --target, --seconds, --count, --seed, --grow.
// Out: what was tried, on stdout; exit code 1 with the smallest input where one failed.
// Absent: setting up (scripts/fuzz.mjs).

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { corpusText, readCorpus, shownInput } from './corpus.ts'
import { grow } from './grow.ts'
import { fuzz, type FuzzResult } from './run.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'

const progressMs = 60_000

const help = `Holds parsers against slow ones that are plainly right, on changed inputs.

  --target NAME   one of ${targets.map(({ name }) => name).join(', ')}. Default: all, in turn.
  --seconds N     for each target. Default: 10.
  --count N       inputs for each target, whatever time they take.
  --seed S        the same inputs again. Default: another one each time.
  --grow          adds inputs that reach new branches to src/testing/fuzz/corpus/.
`

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function numberOf(name: string, text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw new Error(`--${name}: expected a whole number, found ${JSON.stringify(text)}.`)
}

function chosen(name: string | undefined): readonly Target[] {
  if (name === undefined) return targets
  const found = targets.filter((target) => target.name === name)
  if (found.length > 0) return found
  const names = targets.map((target) => target.name).join(', ')
  throw new Error(`--target: expected one of ${names}, found ${name}.`)
}

function describe(name: string, { tried, taken, seconds, slowestMs }: FuzzResult): string {
  const rate = Math.round(tried / seconds).toLocaleString('en')
  const share = ((100 * taken) / tried).toFixed(1)
  return (
    `${name}: ${tried.toLocaleString('en')} inputs in ${seconds.toFixed(1)} s, ${rate} a second, ` +
    `${share}% taken, 256 of them in ${slowestMs.toFixed(0)} ms of CPU at most`
  )
}

function runOne(
  target: Target,
  options: { seed: number; seconds: number; count?: number },
): boolean {
  let saidAt = performance.now()
  const result = fuzz(target, {
    ...options,
    corpus: readCorpus(target.name),
    onProgress: (tried) => {
      if (performance.now() - saidAt < progressMs) return
      saidAt = performance.now()
      say(`${target.name}: ${tried.toLocaleString('en')} inputs so far`)
    },
  })
  say(describe(target.name, result))
  if (result.failure === undefined) return true
  const { error, input } = result.failure
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
  say(`${target.name} failed: ${reason}`)
  say(`Smallest input, a line for src/testing/fuzz/corpus/${target.name}.txt:`)
  say(shownInput(input))
  say(
    `Again: npm run fuzz -- --target ${target.name} --seed ${options.seed} --count ${result.tried}`,
  )
  return false
}

async function growOne(target: Target, seed: number, seconds: number): Promise<void> {
  const before = readCorpus(target.name)
  const { inputs, covered } = await grow(target, { seed, seconds, corpus: before })
  const root = join(import.meta.dirname, '../../..')
  writeFileSync(join(root, 'src/testing/fuzz/corpus', `${target.name}.txt`), corpusText(inputs))
  say(`${target.name}: ${before.length} inputs became ${inputs.length}`)
  say(`They run through ${covered} characters of ${target.files.join(', ')}.`)
}

export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: { type: 'string' },
      seconds: { type: 'string', default: '10' },
      count: { type: 'string' },
      seed: { type: 'string' },
      grow: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  const seed = values.seed === undefined ? Date.now() % 2 ** 32 : numberOf('seed', values.seed)
  const count = values.count === undefined ? undefined : numberOf('count', values.count)
  const seconds = count === undefined ? numberOf('seconds', values.seconds) : Infinity
  say(`Seed ${seed}.`)
  let isFine = true
  for (const target of chosen(values.target)) {
    if (values.grow) await growOne(target, seed, Math.min(seconds, 3600))
    else if (!runOne(target, { seed, seconds, ...(count === undefined ? {} : { count }) }))
      isFine = false
  }
  return isFine ? 0 : 1
}
