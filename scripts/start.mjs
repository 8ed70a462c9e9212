// npm start: sets up what is missing, then becomes the program.
// In:  the program's own arguments and environment, untouched.
// Out: the program, in this very process, so that signals and its exit code need no passing on.
// Absent: anything the program does itself.

import { main } from './run.mjs'
import { setUp } from './setup.mjs'

const namesBrokers = process.argv.some((argument) => /^--brokers(=|$)/.test(argument))

await main(async () => {
  await setUp({ kafka: namesBrokers || Boolean(process.env.BROKERS) })
  await import('../dist/main.js')
})
