// npm run bench: sets up what is missing, then runs the bench.
// In:  the bench's own arguments.
// Out: its report and its exit code.
// Absent: anything the bench does itself.

import { main } from './run.mjs'
import { setUp } from './setup.mjs'

await main(async () => {
  await setUp({ tests: process.argv.includes('--kafka') })
  await import('../bench/cli.mjs')
})
