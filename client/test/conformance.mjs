// What every JavaScript runtime must be able to do with the client: `RUNTIME conformance.mjs URL`.
// In:  where a ledger listens.
// Out: exit code 0 and a line, or an error.
// Absent: modules of any runtime.

import { Ledger, RefusedError, uuidv7 } from '../../dist/client/index.js'

function equal(found, expected, what) {
  if (found !== expected) throw new Error(`${what}: expected ${expected}, found ${found}`)
}

async function eventually(look, what) {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (await look()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${what}: not within 20 s`)
}

export async function conform(url) {
  const ledger = new Ledger({ url })
  const [payer, payee] = [uuidv7(), uuidv7()]
  await reads(ledger, payer, payee)
  await receipts(ledger, payer, payee)
  await changes(ledger, payer, payee)
  const refused = await ledger.account('x').catch((error) => error)
  equal(refused instanceof RefusedError, true, 'a malformed account is refused')
  equal(refused.problem.field, 'account_id', 'field of the problem')
}

async function reads(ledger, payer, payee) {
  equal(await ledger.account(payee), undefined, 'an account without entries')
  const writer = ledger.writer({ maxItems: 100, maxWaitMs: 5 })
  const amount = 2n ** 62n
  const added = []
  for (let i = 0; i < 250; i++) {
    added.push(await writer.add({ account_id: payer, amount: -amount }))
    await writer.add({ id: added.at(-1).id, account_id: payee, amount })
  }
  await writer.close()
  const posted = await added.at(-1).durable
  equal(await posted.receipt.persisted(), true, 'the last batch is persisted')
  await eventually(async () => (await ledger.account(payee))?.count === 250n, 'all entries')
  const [mine, nobody, theirs] = await ledger.balances([payer, uuidv7(), payee])
  equal(mine.balance, -250n * amount, 'balance')
  equal(theirs.balance, 250n * amount, 'balance of the other')
  equal(nobody, undefined, 'balance of an account without entries')
  const seen = []
  const options = { limit: 60, order: 'asc', running_balance: true }
  for await (const entry of ledger.entries(payee, options)) seen.push(entry)
  equal(seen.length, 250, 'entries of the statement')
  equal(seen.at(-1).running_balance, 250n * amount, 'running balance')
  equal((await ledger.entry(payee, seen[7].id)).amount, amount, 'one entry')
  equal(await ledger.entry(payee, uuidv7()), undefined, 'no entry')
  let sides = 0
  for await (const entry of ledger.transfer(seen[7].id)) sides += entry.amount > 0n ? 1 : 10
  equal(sides, 11, 'both sides of a transfer')
}

async function receipts(ledger, payer, payee) {
  const id = uuidv7()
  const transfer = [
    { id, account_id: payer, amount: -5n },
    { id, account_id: payee, amount: 5n },
  ]
  const first = await ledger.post(transfer, { balanced: true, waitMs: 20_000 })
  equal(first.outcomes.map(({ outcome }) => outcome).join(), 'created,created', 'outcomes')
  const again = [transfer[0], { ...transfer[1], amount: 6n }]
  const { receipt } = await ledger.post(again)
  const outcomes = await ledger.receipt(receipt.token).outcomes(again)
  equal(outcomes.map(({ outcome }) => outcome).join(), 'duplicate,conflict', 'outcomes')
  equal(outcomes[1].recorded_amount, 5n, 'the amount that stands')
  const found = []
  for await (const one of ledger.conflicts({ account_id: payee })) found.push(one)
  equal(found.map(({ amount }) => amount).join(), '6', 'conflicts')
  const refused = await ledger.post(again, { balanced: true }).catch((error) => error)
  equal(refused instanceof RefusedError, true, 'an unbalanced batch is refused')
}

async function changes(ledger, payer, payee) {
  const aborter = new AbortController()
  const { signal } = aborter
  let cursor
  let seen = 0
  for await (const batch of ledger.changes({ after: 'start', follow: false })) {
    seen += batch.transactions.filter(({ account_id: one }) => one === payee).length
    cursor = batch.cursor
  }
  equal(seen, 251, 'changes from the start')
  const waiting = ledger.changes({ after: cursor, signal })
  const next = waiting.next()
  await ledger.post([{ id: uuidv7(), account_id: payee, amount: 7n }])
  const { value } = await next
  equal(value.transactions.at(-1).amount, 7n, 'the next change')
  aborter.abort()
  const ended = await waiting.next().catch((error) => error)
  equal(ended.name ?? ended.done, 'AbortError', 'an aborted stream')
}

const url = globalThis.process?.argv[2]
if (url !== undefined && globalThis.process.argv[1]?.endsWith('conformance.mjs')) {
  await conform(url)
  console.log('conforms')
}
