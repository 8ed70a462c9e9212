// node bench/cli.mjs: the bench as a program of its own, from a clone.
// In:  argv.
// Out: the exit code.
// Absent: building dist/ (npm run bench does).

import { fileURLToPath } from 'node:url'
import { runBench } from './main.mjs'

const fileAt = (path) => fileURLToPath(new URL(path, import.meta.url))
process.exitCode = await runBench(process.argv.slice(2), {
  programCommand: [process.execPath, fileAt('../dist/main.js')],
  benchCommand: [process.execPath, fileAt('cli.mjs')],
})
