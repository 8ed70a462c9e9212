import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { checkRollups } from '../ledger/rollup-check.ts'
import { leavesOf } from '../ledger/rollup-leaves.ts'
import type { Connection } from '../postgres/connection.ts'
import { column, createTestLedger, openConnection, testLayout } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { partitionOfAccount } from '../testing/rows.ts'
import { Roller } from './roller.ts'

let server: TestPostgres
let url: string
let connection: Connection

before(async () => {
  server = await startTestPostgres()
  url = await createTestLedger(server)
  connection = await openConnection(url)
})

after(async () => {
  await connection.close()
  await server.stop()
})

const day = 86_400_000
const bucket = 2

function accountOf(wanted: number): string {
  for (;;) {
    const accountId = crypto.randomUUID()
    if (partitionOfAccount(accountId) % testLayout.buckets === wanted) return accountId
  }
}

test('a roller rolls up what is over or large and worth it, and leaves the rest', async () => {
  const now = Date.now()
  const today = Math.floor(now / day) * day
  const heavy = accountOf(bucket)
  const id = (from: number, to: number, count: number): string =>
    `(lpad(to_hex(${from} + n::bigint * ${to - from} / ${count}), 12, '0')
      || '7' || substr(md5(n::text), 1, 19))::uuid`
  const fill = (from: number, to: number, count: number): Promise<unknown> =>
    column(
      url,
      `INSERT INTO ledger.transactions
       SELECT '${heavy}', ${id(from, to, count)}, 1, now() FROM generate_series(1, ${count}) n`,
    )
  // Yesterday: few entries. Today: many of one account, and in another bucket one of each.
  await fill(today - day + 1000, today - 1000, 50)
  await fill(now - 1_000_000, now - 400_000, 60_000)
  await column(
    url,
    `INSERT INTO ledger.transactions
     SELECT account, ${id(now - 900_000, now - 400_000, 240_000)}, 1, now()
     FROM (SELECT n, gen_random_uuid() AS account FROM generate_series(1, 240000) n) a
     WHERE satisfies_hash_partition('ledger.transactions'::regclass, 4, 1, account)`,
  )
  const { signal } = new AbortController()
  const options = { logger: { debug: () => {} }, restPerWork: 0, signal }
  const behind = new Roller({ ...options, isBehind: () => true })
  assert.equal(await behind.turn(connection), 0)
  const roller = new Roller({ ...options, isBehind: () => false })
  await roller.turn(connection)
  const name = (time: number): string =>
    new Date(time).toISOString().slice(0, 10).replaceAll('-', '')
  const rolledUp = (await leavesOf(connection, true))
    .filter(({ isRolledUp }) => isRolledUp)
    .map(({ leaf, below }) => `${leaf.slice(13)} ${below === undefined ? 'whole' : 'partly'}`)
  const bucketName = `b0${bucket}`
  assert(rolledUp.includes(`${bucketName}_${name(today - day)}_rest whole`), rolledUp.join())
  assert(rolledUp.includes(`${bucketName}_${name(today)}_rest partly`), rolledUp.join())
  assert(!rolledUp.some((one) => one.includes(`b01_${name(today)}_rest`)), rolledUp.join())
  const sparse = (await leavesOf(connection)).find(({ leaf }) =>
    leaf.includes(`b01_${name(today)}_rest`),
  )
  assert((sparse?.pages ?? 0) > 512, `${sparse?.pages} pages would be looked at`)
  assert.deepEqual(await checkRollups(connection), [])
})
