// npm test: sets up what is missing, checks, then runs every test there is.
// In:  words: only test files whose path contains one of them are run, and no checks.
// Out: one report with one summary; exit code 1 if anything failed.
// Absent: the tests (src/**/*.test.ts, bench/**/*.test.mjs, client/test/*.test.mjs).

import fs from 'node:fs'
import path from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { runChecks } from './check.mjs'
import { SetupError, main, root, say } from './run.mjs'
import { setUp } from './setup.mjs'

/** A file that takes longer hangs: it is ended and has failed. */
const fileMs = 10 * 60_000

/** x.test.js needs nothing but itself; x.pg.test.js and the like start servers of their own. */
const withServers = /\.[^./]+\.test\.m?js$/

/** Brokers take a machine's time and memory: one such file at a time. */
const withBrokers = /\.kafka\.test\.m?js$/

/**
 * Two files at a time, as CI has two cores. Those with servers come last: what they start waits
 * more than it works.
 */
async function* runAll(files, counts) {
  const plain = files.filter((file) => !withServers.test(file))
  const heavy = files.filter((file) => withServers.test(file))
  const streams = [twoAtATime(heavy)]
  if (plain.length > 0) streams.unshift(run({ files: plain, concurrency: 2, timeout: fileMs }))
  for (const stream of streams) {
    for await (const event of stream) {
      if (event.type === 'test:fail' && !event.data.todo) counts.failures += 1
      if (!addToSummary(event, counts)) yield event
    }
  }
  for (const [name, value] of counts.summary) {
    yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${value}` } }
  }
}

/** The events of files with servers, those of a file together once it has ended. */
async function* twoAtATime(files) {
  // Or those with brokers would be left at the end, one at a time.
  const waiting = files.toSorted((a, b) => withBrokers.test(b) - withBrokers.test(a))
  const running = new Map()
  while (waiting.length + running.size > 0) {
    while (running.size < 2) {
      const hasBrokers = [...running.keys()].some((file) => withBrokers.test(file))
      const at = waiting.findIndex((file) => !(hasBrokers && withBrokers.test(file)))
      if (at < 0) break
      const [file] = waiting.splice(at, 1)
      const events = run({ files: [file], timeout: fileMs }).toArray()
      running.set(
        file,
        events.then((all) => ({ file, all })),
      )
    }
    const { file, all } = await Promise.race(running.values())
    running.delete(file)
    yield* all
  }
}

/** Each group closes with its own totals ("pass 12"); they are added up and shown once. */
function addToSummary({ type, data }, { summary }) {
  const total = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/
  const match = type === 'test:diagnostic' && data.nesting === 0 && total.exec(data.message)
  if (match) summary.set(match[1], (summary.get(match[1]) ?? 0) + Number(match[2]))
  return Boolean(match)
}

/** Those of src/ compiled, those of bench/ and client/ as they are. */
function testFiles(words) {
  return ['dist', 'bench', 'client/test']
    .flatMap((room) =>
      fs.readdirSync(path.join(root, room), { recursive: true }).map((file) => ({ room, file })),
    )
    .filter(({ room, file }) => file.endsWith(room === 'dist' ? '.test.js' : '.test.mjs'))
    .map(({ room, file }) => path.join(room === 'dist' ? '' : room, file))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort()
    .map((file) => path.join(root, file.endsWith('.mjs') ? '' : 'dist', file))
}

async function report(files) {
  const counts = { failures: 0, summary: new Map() }
  const reporter = new spec()
  reporter.pipe(process.stdout)
  for await (const event of runAll(files, counts)) reporter.write(event)
  await new Promise((resolve) => reporter.once('end', resolve).end())
  return counts.failures
}

await main(async () => {
  const words = process.argv.slice(2)
  await setUp()
  const files = testFiles(words)
  if (files.length === 0)
    throw new SetupError(`No test file has ${words.join(' or ')} in its path.`)
  if (words.length === 0 || files.some((file) => withServers.test(file)))
    await setUp({ tests: true })
  const failedChecks = words.length === 0 ? await runChecks() : []
  const failures = await report(files)
  if (failedChecks.length > 0) say(`Checks that failed, see above: ${failedChecks.join(', ')}.`)
  if (failures > 0 || failedChecks.length > 0) process.exitCode = 1
})
