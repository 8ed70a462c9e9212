// The bench: runs scenarios, shows what they do while they run, and writes a report.
// In:  a command line; how to start the program, and this very bench as a load generator.
// Out: a table on stdout, a report in HTML and in JSON; 1 when a verification failed.
// Absent: where those commands come from (cli.mjs), the scenarios (scenarios/), figures (support/).

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generatorFlag } from './load/client.mjs'
import { runGenerator } from './load/generator.mjs'
import { UsageError, helpText, listLines, readOptions, shownOptions } from './options.mjs'
import { writeReport } from './report/write.mjs'
import { chosen, scenarios } from './scenarios/index.mjs'
import { cleanOnSignals, cleanup } from './support/cleanup.mjs'
import { Live } from './support/live.mjs'
import { describeMachine } from './support/machine.mjs'
import { summaryText } from './support/summary.mjs'

/**
 * @param {string[]} argv what stands behind `bench`
 * @param {object} commands
 * @param {string[]} commands.programCommand starts the program, such as `['node', 'dist/main.js']`
 * @param {string[]} [commands.benchCommand] runs this function; `programCommand bench` unless given
 * @returns {Promise<number>} the exit code
 */
export async function runBench(
  argv,
  { programCommand, benchCommand = [...programCommand, 'bench'] },
) {
  if (argv[0] === generatorFlag) return runGenerator()
  try {
    const options = readOptions(argv)
    if (options.help || options.list) {
      const lines = options.help ? [helpText(scenarios)] : listLines(scenarios)
      process.stdout.write(`${lines.join('\n')}\n`)
      return 0
    }
    return await runScenarios(options, { programCommand, benchCommand })
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\nRun with --help to see scenarios and flags.\n`)
    return 2
  }
}

async function runScenarios(options, { programCommand, benchCommand }) {
  const list = chosen(options)
  const live = new Live()
  const minutes = list.reduce((sum, each) => sum + each.seconds(options), 0) / 60
  live.note(`${list.map(({ name }) => name).join(', ')}: about ${Math.ceil(minutes)} minutes`)
  const directory = mkdtempSync(join(tmpdir(), 'ledger-bench-load-'))
  const remove = cleanup(() => rmSync(directory, { recursive: true, force: true }))
  cleanOnSignals()
  const bench = { options, live, directory, benchCommand, limit: options.limit }
  bench.programCommand = options.program ?? programCommand
  const startedAt = new Date()
  const results = []
  for (const scenario of list) {
    const { name, title, kind } = scenario
    live.title(`${name}: ${title}`)
    const started = performance.now()
    const figures = await scenario.run(bench).catch((error) => {
      if (error instanceof UsageError) throw error
      return { failure: error.message }
    })
    if (figures.failure) live.note(`failed: ${figures.failure}`)
    if (name === 'limit') bench.limit = figures.best ?? bench.limit
    const persisted = figures.window?.persistedPerSecond
    const ofLimit = persisted && bench.limit && persisted / bench.limit
    results.push({
      name,
      title,
      kind,
      tookSeconds: (performance.now() - started) / 1000,
      ofLimit,
      ...figures,
    })
  }
  live.end()
  await remove()
  const machine = await describeMachine()
  const report = {
    startedAt: startedAt.toISOString(),
    machine,
    options: shownOptions(options),
    limit: bench.limit,
    results,
  }
  process.stdout.write(summaryText(report))
  mkdirSync(options.out, { recursive: true })
  for (const file of writeReport(options.out, report)) process.stdout.write(`${file}\n`)
  const isGood = ({ failure, verification }) => !failure && verification?.ok !== false
  return results.every(isGood) ? 0 : 1
}
