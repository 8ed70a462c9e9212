// Whether the program says of an account what its rows say.
// In:  a scene at rest.
// Out: accounts whose balance or count is not that of their rows.
// Absent: the rows themselves (the checker has them all).

import type { LiveScene } from './scene.ts'
import type { Tables } from './tables.ts'

const accountsAsked = 100
const answerMsMax = 300_000

interface Sum {
  account: string
  balance: string
  count: string
}

/** The largest accounts and some others, asked of every process that answers. */
export async function balanceBreaches(scene: LiveScene, tables: Tables): Promise<string[]> {
  const sums = await tables.ask<Sum>(
    `WITH sums AS (SELECT account_id, sum(amount) AS balance, count(*) AS count
                     FROM ledger.transactions GROUP BY account_id)
     (SELECT account_id AS account, balance::text, count::text FROM sums
       ORDER BY sums.count DESC LIMIT ${accountsAsked / 2})
     UNION
     (SELECT account_id, balance::text, count::text FROM sums
       ORDER BY account_id LIMIT ${accountsAsked / 2})`,
    [],
    answerMsMax,
  )
  const breaches: string[] = []
  for (const { directUrl, name } of scene.membersOf('all', 'ingress')) {
    for (const { account, balance, count } of sums) {
      const response = await fetch(`${directUrl}/v1/accounts/${account}`)
      const found = (await response.json()) as { balance?: string; count?: string | number }
      if (found.balance === balance && String(found.count) === count) continue
      breaches.push(
        `account ${account}: its rows sum to ${balance} in ${count}, ` +
          `${name} says ${response.status} ${JSON.stringify(found)}`,
      )
    }
  }
  return breaches
}
