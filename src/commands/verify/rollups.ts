// Whether the roll-ups of a database are what its entries add up to.
// In:  a connection.
// Out: findings.
// Absent: how (ledger/rollup-check.ts).

import { leafFaults, rangeFaults, rolledUpLeaves } from '../../ledger/rollup-check.ts'
import type { Connection } from '../../postgres/connection.ts'
import type { Finding } from './findings.ts'

/** @param onLeaf told before each leaf */
export async function* rollupFindings(
  connection: Connection,
  onLeaf: () => void,
): AsyncGenerator<Finding> {
  for (const { leaf, expected, found } of await rangeFaults(connection)) {
    const where = `ranges of ledger.${leaf}`
    yield { check: 'roll-up', where, expected: expected ?? 'none', found: found ?? 'none' }
  }
  for (const leaf of await rolledUpLeaves(connection)) {
    onLeaf()
    const there = await connection.queryOne<{ exists: boolean }>(
      'SELECT to_regclass($1) IS NOT NULL AS exists',
      [`ledger.${leaf}`],
    )
    if (there?.exists !== true) {
      const where = `ledger.${leaf}`
      yield { check: 'roll-up', where, expected: 'the leaf it is of', found: 'none' }
      continue
    }
    for (const { accountId, expected, found } of await leafFaults(connection, leaf)) {
      const where = `account ${accountId} in ledger.${leaf} (count, sum, first, last, times)`
      yield { check: 'roll-up', where, expected: expected ?? 'none', found: found ?? 'none' }
    }
  }
}
