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
  equal(await ledger.account(payee), undefined, 'an account without entries')
  const writer = ledger.writer({ maxItems: 100, maxWaitMs: 5 })
  const amount = 2n ** 62n
  for (let i = 0; i < 250; i++) {
    const { id } = await writer.add({ account_id: payer, amount: -amount })
    await writer.add({ id, account_id: payee, amount })
  }
  await writer.close()
  await eventually(async () => (await ledger.account(payee))?.count === 250n, 'all entries')
  await eventually(async () => (await ledger.account(payer))?.count === 250n, 'all entries')
  equal((await ledger.account(payer)).balance, -250n * amount, 'balance')
  let [seen, sum] = [0, 0n]
  for await (const entry of ledger.entries(payee, { limit: 60 })) {
    seen += 1
    sum += entry.amount
  }
  equal(seen, 250, 'entries of the statement')
  equal(sum, 250n * amount, 'sum of the statement')
  const refused = await ledger.account('x').catch((error) => error)
  equal(refused instanceof RefusedError, true, 'a malformed account is refused')
  equal(refused.problem.field, 'account_id', 'field of the problem')
}

const url = globalThis.process?.argv[2]
if (url !== undefined && globalThis.process.argv[1]?.endsWith('conformance.mjs')) {
  await conform(url)
  console.log('conforms')
}
