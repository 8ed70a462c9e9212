// The comparison at the end of every run: what was acknowledged, and what is in the ledger.
// In:  a deployment, what was sent.
// Out: a verdict, with what was looked at.
// Absent: how rows are judged (checker.mjs).

import { acknowledged, refused } from '../load/requests.mjs'
import { verifyAccounts } from './accounts.mjs'
import { Checker } from './checker.mjs'
import { readTables } from './tables.mjs'

/** Accounts whose balance is also asked for through the read API. */
const accountsAsked = 200
/** The most asked for where the read API is the only way to know. */
const accountsAskedMost = 20_000

/**
 * Through the tables where they can be reached: every row, and some accounts through the read API
 * besides. Otherwise through the read API alone: count and sum of accounts.
 *
 * @param {import('../load/bodies.mjs').Bodies[]} loads
 */
export async function verify({ urls, databaseUrls, isExclusive }, loads, probes) {
  if (databaseUrls.length === 0) return verifyThroughApi(urls[0], loads)
  const checker = new Checker({ loads, probes, exclusive: isExclusive })
  await readTables(databaseUrls, checker)
  const verdict = checker.finish()
  const some = pick(checker.expectedAccounts(), accountsAsked)
  const asked = await verifyAccounts(urls[0], some)
  return {
    ...verdict,
    through: 'tables',
    ok: verdict.ok && asked.problems.length === 0,
    accountsAsked: asked.accounts,
    problems: [...verdict.problems, ...asked.problems.slice(0, 3)],
  }
}

async function verifyThroughApi(url, loads) {
  const expected = loads.flatMap(accountBounds)
  const some = pick(expected, accountsAskedMost)
  const { accounts, problems } = await verifyAccounts(url, some)
  return {
    through: 'read API',
    ok: problems.length === 0,
    rows: some.reduce((sum, { count }) => sum + count, 0),
    expected: some.reduce((sum, { count }) => sum + count, 0),
    accounts,
    accountsOf: expected.length,
    problems: problems.slice(0, 5),
  }
}

/** Count and sum that an account must have, and the count it may have with what has no answer. */
function accountBounds(bodies) {
  const { requests, items, pool } = bodies
  const bounds = pool.map((account) => ({ account, count: 0, most: 0, sum: 0 }))
  for (let number = 0; number < requests.count; number++) {
    const state = requests.stateOf(number)
    if (state === refused) continue
    const { accounts, amounts } = bodies.templateOf(number)
    for (let index = 0; index < items; index++) {
      if (bodies.isRepeat(number, index)) continue
      const bound = bounds[accounts[index]]
      bound.most++
      if (state !== acknowledged) continue
      bound.count++
      bound.sum += amounts[index]
    }
  }
  return bounds.filter(({ most }) => most > 0)
}

/** Evenly spread over the list. */
function pick(list, most) {
  if (list.length <= most) return list
  return Array.from({ length: most }, (_, i) => list[Math.floor((i * list.length) / most)])
}
