// npm run simulate: sets up what is missing, then runs seeds of the simulation.
// In:  --seeds N and --from S.
// Out: figures, or the seed that fails with everything that happened; exit code 1 then.
// Absent: the simulation (src/testing/simulation/).

import { main } from './run.mjs'
import { setUp } from './setup.mjs'

await main(async () => {
  await setUp()
  await import('../dist/testing/simulation/command.js')
})
