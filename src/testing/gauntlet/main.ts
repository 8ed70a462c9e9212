// npm run gauntlet: runs what the command line asks for, one log after the other.
// In:  argv.
// Out: a report, and the exit code.
// Absent: everything else.

import { allFaults, allTrials } from './catalogue.ts'
import { helpText, parseOptions, UsageError } from './options.ts'
import { gauntlet } from './gauntlet.ts'

const words = process.argv.slice(2)
try {
  if (words.includes('--help')) {
    process.stdout.write(helpText)
  } else if (words.includes('--list')) {
    for (const { name, logs, what } of [...allFaults, ...allTrials]) {
      console.log(`${name.padEnd(24)} ${logs.join(', ').padEnd(16)} ${what}`)
    }
  } else {
    const isClean = await gauntlet(parseOptions(words))
    if (!isClean) process.exitCode = 1
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(error.message)
  process.exitCode = 2
}
