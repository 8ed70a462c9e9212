// npm run fuzz: sets up what is missing, then runs the fuzzers.
// In:  --target, --seconds, --seed and so on; --help tells them.
// Out: what was tried; exit code 1 when an input failed.
// Absent: the fuzzers (src/testing/fuzz/).

import { main } from './run.mjs'
import { setUp } from './setup.mjs'

await main(async () => {
  await setUp()
  const fuzzers = await import('../dist/testing/fuzz/main.js')
  process.exitCode = await fuzzers.main(process.argv.slice(2))
})
