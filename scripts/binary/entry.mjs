// The first thing that runs in the executable: the program, or the bench.
// In:  the command line.
// Out: whatever was asked for.
// Absent: flags (src/flags.ts, bench/options.mjs).

import { useCache } from '../../dist/artifact/cache.js'
import { cacheDirs } from '../../dist/config.js'

async function bench(argv) {
  useCache(cacheDirs(undefined, undefined))
  const { runBench } = await import('../../bench/main.mjs')
  process.exitCode = await runBench(argv, { programCommand: [process.execPath] })
}

const [word, ...rest] = process.argv.slice(2)
if (word === 'bench') void bench(rest)
else void import('../../dist/main.js')
