// npm run bench: sets up what is missing, then runs the bench.
// In:  the bench's own arguments.
// Out: its report and its exit code.
// Absent: anything the bench does itself.

import path from 'node:path'
import { main, root } from './run.mjs'
import { setUp } from './setup.mjs'

await main(async () => {
  await setUp({ tests: process.argv.includes('--kafka') })
  const { runBench } = await import('../bench/main.mjs')
  process.exitCode = await runBench(process.argv.slice(2), {
    programCommand: [process.execPath, path.join(root, 'dist/main.js')],
    benchCommand: [process.execPath, path.join(root, 'bench/main.mjs')],
  })
})
