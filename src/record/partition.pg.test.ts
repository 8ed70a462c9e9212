import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { parseUuid } from '../bytes/uuid.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { partitionCount } from './layout.ts'
import { bucketOf, partitionOf } from './partition.ts'

let server: TestPostgres
let client: pg.Client

before(async () => {
  server = await startTestPostgres()
  client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query('CREATE TABLE entries (account_id uuid) PARTITION BY HASH (account_id)')
})

after(async () => {
  await client.end()
  await server.stop()
})

function partitionOfText(account: string): number {
  const bytes = parseUuid(account)
  assert(bytes !== undefined)
  return partitionOf(new DataView(bytes.buffer), 0)
}

/** Accounts of every kind: random, ordered in time, and with long runs of equal bits. */
function accounts(): string[] {
  const random = Array.from({ length: 2000 }, () => randomUUID())
  const ordered = random.slice(0, 200).map((uuid) => `0190b6e5-f00d-7${uuid.slice(15)}`)
  const extremes = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']
  return [...random, ...ordered, ...extremes]
}

test('PostgreSQL puts every account into the partition that we do', async () => {
  const sample = accounts()
  const partitions = sample.map(partitionOfText)
  const { rows } = await client.query<{ agree: string }>(
    `SELECT count(*) FILTER (
       WHERE satisfies_hash_partition('entries'::regclass, $3, partition, account_id)
     ) AS agree
     FROM unnest($1::uuid[], $2::int[]) AS sample (account_id, partition)`,
    [sample, partitions, partitionCount],
  )
  assert.equal(Number(rows[0].agree), sample.length)
  assert.equal(new Set(partitions).size, partitionCount)
})

test('with fewer buckets, a partition lies in one bucket of PostgreSQL', async () => {
  const sample = accounts()
  for (const buckets of [1, 2, 16, 64, 128]) {
    const expected = sample.map((account) => bucketOf(partitionOfText(account), buckets))
    const { rows } = await client.query<{ agree: string }>(
      `SELECT count(*) FILTER (
         WHERE satisfies_hash_partition('entries'::regclass, $3, bucket, account_id)
       ) AS agree
       FROM unnest($1::uuid[], $2::int[]) AS sample (account_id, bucket)`,
      [sample, expected, buckets],
    )
    assert.equal(Number(rows[0].agree), sample.length, `${buckets} buckets`)
  }
})
