// npm run gauntlet: sets up what is missing, then runs the gauntlet.
// In:  the gauntlet's own arguments.
// Out: its report and its exit code.
// Absent: anything the gauntlet does itself (src/testing/gauntlet/).

import { main } from './run.mjs'
import { setUp } from './setup.mjs'

await main(async () => {
  await setUp({ tests: true, clock: true })
  await import('../dist/testing/gauntlet/main.js')
})
