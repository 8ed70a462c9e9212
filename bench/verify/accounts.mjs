// Whether accounts add up to what was acknowledged, as the read API shows them.
// In:  the program's address; what accounts must add up to.
// Out: how many were looked at, and those that differ.
// Absent: the tables.

import { uuidText } from '../load/random.mjs'

const lanes = 16

async function readAccount(url, account) {
  const path = `${url}/v1/accounts/${uuidText(account)}`
  const response = await fetch(path, { signal: AbortSignal.timeout(30_000) })
  if (response.status === 404) return { balance: '0', count: '0' }
  if (!response.ok) throw new Error(`${path}: expected status 200, found ${response.status}`)
  return response.json()
}

/**
 * Looks at accounts, each with its least and its most count. Where both are the same, the sum must
 * be right as well; where some requests have no answer it may be one of many.
 *
 * @param {{ account: Buffer, count: number, most?: number, sum: number }[]} expected
 */
export async function verifyAccounts(url, expected) {
  const problems = []
  let next = 0
  const lane = async () => {
    while (next < expected.length) {
      const { account, count, most = count, sum } = expected[next++]
      const found = await readAccount(url, account)
      const isExact = count === most
      const isRight =
        Number(found.count) >= count &&
        Number(found.count) <= most &&
        (!isExact || BigInt(found.balance) === BigInt(sum))
      if (isRight) continue
      problems.push(
        `account ${uuidText(account)}: expected ${count} entries${isExact ? '' : ` to ${most}`}, ` +
          `sum ${sum}; found ${found.count}, ${found.balance}`,
      )
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return { accounts: expected.length, problems }
}
