// `transaction-ledger rebuild-balances`: makes the roll-ups of accounts anew from their entries.
// In:  --database-url or --data-dir; the program may be running meanwhile.
// Out: roll-ups as if nothing had been there; balances are exact all the while.
// Absent: changing an entry.

import { setTimeout as delay } from 'node:timers/promises'
import { maskUrl } from '../config.ts'
import { LedgerError } from '../errors.ts'
import type { FlagName } from '../flags.ts'
import { leavesOf } from '../ledger/rollup-leaves.ts'
import { forgetLostLeaves, rebuildLeaf } from '../ledger/rollups.ts'
import { createLogger } from '../observe/logger.ts'
import { connect } from '../postgres/connection.ts'
import { configOf, ended, flagLines, unknownArgument } from './arguments.ts'
import { withDatabases } from './databases.ts'
import { rollUpRest } from './roll-up.ts'

const shared: readonly FlagName[] = ['database-url', 'data-dir', 'cache-dir']
/** Somebody else may be rolling up, or writing to a leaf, for so long. */
const patienceMs = 60_000

export function rebuildBalances(argv: readonly string[]): Promise<number> {
  return ended(async () => {
    if (argv.includes('--help')) {
      process.stdout.write(`${helpText()}\n`)
      return 0
    }
    checkArguments(argv)
    const config = configOf(argv)
    const logger = createLogger(config.logLevel, config.logFormat)
    await withDatabases(config, logger, async (urls) => {
      for (const url of urls) await rebuildDatabase(url)
    })
    return 0
  })
}

function checkArguments(argv: readonly string[]): void {
  for (const argument of argv) {
    const [, name] = /^--([a-z-]+)/.exec(argument) ?? []
    if (name !== undefined && !shared.some((one) => one === name)) unknownArgument(argument, shared)
  }
}

function helpText(): string {
  return [
    'transaction-ledger rebuild-balances: makes the roll-ups behind balances anew, from the',
    'entries. The program may run meanwhile, and balances stay exact.',
    '',
    ...flagLines({}, shared),
  ].join('\n')
}

async function rebuildDatabase(url: string): Promise<void> {
  const started = performance.now()
  const connection = await connect(url, {
    applicationName: 'ledger rebuild-balances',
    answerSeconds: 24 * 3600,
  })
  try {
    await patiently('the roll-ups', () => forgetLostLeaves(connection))
    const leaves = (await leavesOf(connection, true)).filter(({ isRolledUp }) => isRolledUp)
    for (const leaf of leaves) {
      await patiently(`ledger.${leaf.leaf}`, () => rebuildLeaf(connection, leaf))
    }
    const added = await rollUpRest(connection)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    process.stdout.write(
      `${maskUrl(url)}: ${leaves.length} leaves made anew, ${added} rolled up further, ` +
        `in ${seconds} s\n`,
    )
  } finally {
    await connection.close()
  }
}

async function patiently(what: string, attempt: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!(await attempt())) {
    if (performance.now() > deadline) {
      const message = `Expected ${what} to be free within ${patienceMs / 1000} s, found it busy.`
      throw new LedgerError('DATABASE_UNAVAILABLE', message)
    }
    await delay(100)
  }
}
