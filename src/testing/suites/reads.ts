// The read API as the suites use it, and what it must answer by the history.
// In:  a base URL, a history.
// Out: assertions.
// Absent: the program's code.

import assert from 'node:assert/strict'
import type { History } from '../history.ts'
import { uuidText } from '../uuid-text.ts'

interface Account {
  account_id: string
  balance: string
  count: string | number
}

interface Page {
  transactions: { id: string; amount: string }[]
  next_cursor?: string | null
}

/** An account's entries as the history has them: amount by id. */
export type Entries = ReadonlyMap<string, bigint>

/**
 * Entries of each account, by the first `count` contents of a history in which no key comes twice.
 */
export function entriesByAccount(
  history: History,
  count: number,
): Map<string, Map<string, bigint>> {
  const accounts = new Map<string, Map<string, bigint>>()
  for (let i = 0; i < count; i++) {
    const account = uuidText(history.accountOf(i))
    const entries = accounts.get(account) ?? new Map<string, bigint>()
    entries.set(uuidText(history.idOf(i)), history.amountOf(i))
    accounts.set(account, entries)
  }
  return accounts
}

export async function assertBalance(
  base: string,
  account: string,
  entries: Entries,
): Promise<void> {
  const found = await get<Account>(`${base}/v1/accounts/${account}`)
  const sum = [...entries.values()].reduce((total, amount) => total + amount, 0n)
  assert.equal(found.account_id, account)
  assert.equal(found.balance, String(sum))
  assert.equal(Number(found.count), entries.size)
}

/** Walks the statement page by page: every entry once, newest first. */
export async function assertStatement(
  base: string,
  account: string,
  entries: Entries,
  limit: number,
): Promise<void> {
  const seen: string[] = []
  let cursor: string | null | undefined
  do {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor && { cursor }) })
    const page = await get<Page>(`${base}/v1/accounts/${account}/transactions?${query.toString()}`)
    assert(page.transactions.length <= limit)
    for (const { id, amount } of page.transactions) {
      assert.equal(amount, String(entries.get(id)), `account ${account} id ${id}`)
      seen.push(id)
    }
    cursor = page.next_cursor
  } while (cursor)
  // UUIDv7 ids sort by time.
  assert.deepEqual(seen, [...entries.keys()].sort().reverse())
}

async function get<T>(url: string): Promise<T> {
  const response = await fetch(url)
  const text = await response.text()
  assert.equal(response.status, 200, `${url}: ${text}`)
  return JSON.parse(text) as T
}

/** Sum of a metric over its labels. */
export async function metric(base: string, name: string): Promise<number> {
  const response = await fetch(`${base}/metrics`)
  assert.equal(response.status, 200)
  let sum = 0
  for (const line of (await response.text()).split('\n')) {
    const match = /^(\w+)(?:\{.*\})? (\S+)$/.exec(line)
    if (match?.[1] === name) sum += Number(match[2])
  }
  return sum
}
