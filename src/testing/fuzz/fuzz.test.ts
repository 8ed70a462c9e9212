import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestBatch, RequestFault } from '../../batch/batch.ts'
import { parseJson } from '../../batch/parse-json.ts'
import { walkRecord } from '../../record/walk.ts'
import { readCorpus, shownInput } from './corpus.ts'
import { grow } from './grow.ts'
import { jsonTarget } from './json.ts'
import { recordTarget } from './protobuf.ts'
import { fuzz, type FuzzResult } from './run.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'

/** A minute for all of them. */
const secondsEach = 10
/** Another one each time; a failure tells it. */
const seed = Date.now() % 2 ** 32

function assertFine({ failure, tried }: FuzzResult, target: Target): void {
  if (failure === undefined) return
  const { error, input } = failure
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const again = `npm run fuzz -- --target ${target.name} --seed ${seed} --count ${tried}`
  assert.fail(`${message}\nSmallest input: ${shownInput(input)}\nAgain: ${again}`)
}

for (const target of targets) {
  test(`${target.name}: inputs that once told something are read as they must be`, () => {
    const corpus = readCorpus(target.name)
    assert(corpus.length > 0)
    const verdicts = new Set(corpus.map((input) => target.check(input, true)))
    assert.deepEqual([...verdicts].sort(), ['refused', 'taken'])
  })

  test(`${target.name}: changed inputs are read as the references read them`, (t) => {
    const result = fuzz(target, { seed, seconds: secondsEach, corpus: readCorpus(target.name) })
    assertFine(result, target)
    t.diagnostic(`seed ${seed}: ${result.tried} inputs, ${result.taken} taken`)
    const refused = result.tried - result.taken
    assert(result.taken > 100 && refused > 100, 'both answers must have been seen, not just one')
  })
}

type Scanner = typeof parseJson

/** Parses a body in which every match is something else, of the same length. */
function misread(pattern: RegExp, meant: string): Scanner {
  return (body, into) => {
    const text = Buffer.from(body).toString('latin1')
    return parseJson(Buffer.from(text.replace(pattern, meant), 'latin1'), into)
  }
}

function withFault(change: (fault: RequestFault) => RequestFault | undefined): Scanner {
  return (body: Uint8Array, into: RequestBatch) => {
    const fault = parseJson(body, into)
    return fault && change(fault)
  }
}

const wrongScanners: [name: string, parse: Scanner][] = [
  ['a comma after the last item is taken', misread(/,\]/, ' ]')],
  ['2^63 wraps around', misread(/:9223372036854775808\b/, ':9223372036854775807')],
  ['a byte order mark is white space', misread(/^\xef\xbb\xbf/, '   ')],
  ['a form feed is white space', misread(/\f/g, ' ')],
  ['a digit is lost beyond 2^53', misread(/(:\d{17})[1-9]/, '$10')],
  ['an escape is any four characters', misread(/\\u00 /, '\\u00')],
  ['a fault lies one byte further', withFault((fault) => moved(fault))],
  ['what was found is shown as it came', withFault((fault) => ({ ...fault, found: '\xff' }))],
  [
    'the byte behind the end is read',
    (body, into) => parseJson(new Uint8Array(body.buffer, body.byteOffset, body.length + 1), into),
  ],
]

function moved(fault: RequestFault): RequestFault {
  return fault.position === undefined ? fault : { ...fault, position: fault.position + 1 }
}

for (const [name, parse] of wrongScanners) {
  test(`a scanner that is wrong is found out: ${name}`, () => {
    const target = jsonTarget(parse)
    const { failure } = fuzz(target, { seed: 1, seconds: 60, count: 300_000, corpus: [] })
    assert(failure !== undefined)
    assert.throws(() => target.check(failure.input, true))
  })
}

type Walker = typeof walkRecord

const wrongWalkers: [name: string, walk: Walker][] = [
  [
    'another encoding is refused',
    (bytes, start, end, partition) => {
      const count = walkRecord(bytes, start, end, partition)
      const isShorter = typeof count === 'number' && count * 47 < end - start
      return isShorter ? { position: 0, expected: 'ours', found: 'another' } : count
    },
  ],
  [
    'the partition is not looked at',
    (bytes, start, end) => {
      const first = walkRecord(bytes, start, end, 7)
      return typeof first === 'number' || first.field !== 'account_id' ? first : 1
    },
  ],
  [
    'the byte behind the record is written',
    (bytes, start, end, partition) => {
      const count = walkRecord(bytes, start, end, partition)
      if (typeof count === 'number' && count > 2) bytes.setUint8(end, 0)
      return count
    },
  ],
  [
    'a record that is refused is half rewritten',
    (bytes, start, end, partition) => {
      const count = walkRecord(bytes, start, end, partition)
      if (typeof count !== 'number' && count.index === 1) bytes.setUint8(start + 5, 0xee)
      return count
    },
  ],
]

for (const [name, walk] of wrongWalkers) {
  test(`a walker that is wrong is found out: ${name}`, () => {
    const target = recordTarget(walk)
    const { failure } = fuzz(target, { seed: 1, seconds: 60, count: 300_000, corpus: [] })
    assert(failure !== undefined)
    assert.throws(() => target.check(failure.input, true))
  })
}

test('the same seed tries the same inputs', () => {
  const tried = [1, 1, 2].map((own) => {
    const seen: string[] = []
    const target: Target = {
      ...targets[0],
      check: (input) => {
        seen.push(Buffer.from(input).toString('latin1'))
        return 'refused'
      },
    }
    fuzz(target, { seed: own, seconds: 60, count: 512, corpus: [] })
    return seen.join('\n')
  })
  assert.equal(tried[0], tried[1])
  assert.notEqual(tried[0], tried[2])
})

test('a corpus grows by inputs that reach what no other did, and by no others', async () => {
  const [json] = targets
  const first = await grow(json, { seed: 1, seconds: 0, batchSize: 16, corpus: [] })
  assert(first.inputs.length > 1 && first.inputs.length < 16, `${first.inputs.length} of 16`)
  const again = await grow(json, { seed: 1, seconds: 0, batchSize: 16, corpus: first.inputs })
  assert(again.covered >= first.covered)
  const same = await grow(json, { seed: 1, seconds: 0, batchSize: 16, corpus: again.inputs })
  assert(again.covered > first.covered || again.inputs.length === first.inputs.length)
  assert(same.inputs.length >= again.inputs.length)
})
