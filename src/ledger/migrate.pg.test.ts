import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { column, createTestLedger, openConnection, withConnection } from '../testing/ledger.ts'
import { bucketsOf, type Layout } from './buckets.ts'
import { lowestIdAt } from './leaves.ts'
import { migrate } from './migrate.ts'

let server: TestPostgres

before(async () => {
  server = await startTestPostgres()
})

after(() => server.stop())

const layout: Layout = { buckets: 4, databases: 1, databaseIndex: 0 }

function migrateTo(url: string, wanted: Layout): Promise<void> {
  return withConnection(url, (connection) => migrate(connection, wanted))
}

async function bucketTables(url: string): Promise<unknown[]> {
  return column(
    url,
    `SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
     WHERE inhparent = 'ledger.transactions'::regclass ORDER BY 1`,
  )
}

test('migrating twice changes nothing the second time', async () => {
  const url = await server.createDatabase('twice')
  await migrateTo(url, layout)
  const applied = await column(url, 'SELECT applied_at::text FROM ledger.migrations')
  await migrateTo(url, layout)
  assert.deepEqual(await column(url, 'SELECT applied_at::text FROM ledger.migrations'), applied)
  assert.equal((await bucketTables(url)).length, 4)
})

test('processes that start at once migrate one database together', async () => {
  const url = await server.createDatabase('together')
  await Promise.all([1, 2, 3, 4].map(() => migrateTo(url, layout)))
  assert.equal((await bucketTables(url)).length, 4)
})

test('a migration that fails leaves the database as it was, and the connection usable', async () => {
  const url = await server.createDatabase('half')
  const connection = await openConnection(url)
  // The second bucket's name is taken, so the migration fails after the first bucket.
  await connection.script('CREATE SCHEMA ledger; CREATE TABLE ledger.transactions_b01 ()')
  await assert.rejects(migrate(connection, layout), /transactions_b01.* already exists/)
  await connection.execute('DROP TABLE ledger.transactions_b01')
  assert.deepEqual(await connection.query(`SELECT to_regclass('ledger.layout')::text AS name`), [
    { name: null },
  ])
  await migrate(connection, layout)
  await connection.close()
})

test('tables of a newer program are refused', async () => {
  const url = await createTestLedger(server)
  await column(url, `INSERT INTO ledger.migrations (version, checksum) VALUES (9, 'x')`)
  await assert.rejects(migrateTo(url, layout), {
    code: 'LAYOUT_MISMATCH',
    message: /expected tables of version \d+ at most, found version 9/,
  })
})

test('tables made by other migrations than ours are refused', async () => {
  const url = await createTestLedger(server)
  await column(url, `UPDATE ledger.migrations SET checksum = 'x'`)
  await assert.rejects(migrateTo(url, layout), { code: 'LAYOUT_MISMATCH' })
})

test('another number of buckets or databases is refused, and both layouts are named', async () => {
  const url = await createTestLedger(server)
  const expected = 'expected 8 buckets, database 0 of 1 .*, found 4 buckets, database 0 of 1'
  await assert.rejects(migrateTo(url, { ...layout, buckets: 8 }), {
    code: 'LAYOUT_MISMATCH',
    message: new RegExp(expected),
  })
  await assert.rejects(migrateTo(url, { ...layout, databases: 2 }), { code: 'LAYOUT_MISMATCH' })
})

test('a layout no ledger can have is refused by the name of its flag', async () => {
  const url = await server.createDatabase('impossible')
  await assert.rejects(migrateTo(url, { ...layout, buckets: 3 }), {
    code: 'CONFIG_INVALID',
    message: '--buckets: expected a power of two up to 128, found 3.',
  })
  await assert.rejects(
    migrateTo(url, { ...layout, databases: 5 }),
    /--database-url: expected 1 to 4/,
  )
})

test('databases that share a ledger hold each bucket once', () => {
  const shares = [0, 1, 2].map((databaseIndex) =>
    bucketsOf({ buckets: 8, databases: 3, databaseIndex }),
  )
  assert.deepEqual(shares, [
    [0, 1, 2],
    [3, 4, 5],
    [6, 7],
  ])
})

test('a database that holds a share of the buckets refuses rows of the others', async () => {
  const url = await createTestLedger(server, { buckets: 4, databases: 2, databaseIndex: 1 })
  assert.deepEqual(await bucketTables(url), ['transactions_b02', 'transactions_b03'])
  const insert = `INSERT INTO ledger.transactions
    SELECT gen_random_uuid(), gen_random_uuid(), 1, now() FROM generate_series(1, 100)`
  await assert.rejects(column(url, insert), /no partition of relation "transactions" found/)
})

test('one account reads one bucket, and one id of it one leaf', async () => {
  const url = await createTestLedger(server, { buckets: 16, databases: 1, databaseIndex: 0 })
  const account = `SELECT * FROM ledger.transactions
    WHERE account_id = '11111111-1111-4111-8111-111111111111'`
  const scanned = async (select: string) => {
    const plan = (await column(url, `EXPLAIN ${select}`)).join('\n')
    return new Set(plan.match(/(?<= on )transactions_b\d\d_(\d{8}_rest|default)\b/g))
  }
  const all = await scanned(account)
  assert.equal(all.size, 6)
  assert.equal(new Set([...all].map((name) => name.slice(0, 'transactions_b00'.length))).size, 1)
  assert.equal((await scanned(`${account} AND id = '${lowestIdAt(Date.now())}'`)).size, 1)
})

test('every table says what it is for', async () => {
  const url = await createTestLedger(server)
  const silent = await column(
    url,
    `SELECT relname FROM pg_class WHERE relnamespace = 'ledger'::regnamespace
       AND relkind IN ('r', 'p') AND NOT relispartition AND obj_description(oid) IS NULL`,
  )
  assert.deepEqual(silent, [])
})

test('tables of the first version keep their rows, and every leaf gets a key of its own', async () => {
  const url = await createVersion1(await server.createDatabase('version_1'))
  const rows = await column(url, 'SELECT t::text FROM ledger.transactions t ORDER BY 1')
  assert.equal(rows.length, 100)
  await migrateTo(url, { buckets: 1, databases: 1, databaseIndex: 0 })
  assert.deepEqual(await column(url, 'SELECT t::text FROM ledger.transactions t ORDER BY 1'), rows)
  const leaves = await column(
    url,
    `SELECT relname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
     WHERE i.indisunique AND relname LIKE 'transactions%' ORDER BY 1`,
  )
  assert.deepEqual(leaves, ['transactions_b00_20260101', 'transactions_b00_default'])
  const again = 'INSERT INTO ledger.transactions SELECT * FROM ledger.transactions LIMIT 1'
  await assert.rejects(column(url, again), { code: '23505' })
})

/** As the first version made them, with its own words, and 100 rows in two leaves. */
async function createVersion1(url: string): Promise<string> {
  const sql = await readFile(new URL('./schema/0001.sql', import.meta.url), 'utf8')
  const checksum = createHash('sha256').update(sql).digest('hex')
  const connection = await openConnection(url)
  await connection.script(`
    CREATE SCHEMA ledger;
    CREATE TABLE ledger.migrations (
      version integer PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz DEFAULT now());
    ${sql}
    INSERT INTO ledger.migrations (version, checksum) VALUES (1, '${checksum}');
    INSERT INTO ledger.layout (buckets, databases, database_index) VALUES (1, 1, 0);
    CREATE TABLE ledger.transactions_b00 PARTITION OF ledger.transactions
      FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY RANGE (id);
    CREATE TABLE ledger.transactions_b00_default PARTITION OF ledger.transactions_b00 DEFAULT;
    CREATE TABLE ledger.transactions_b00_20260101 PARTITION OF ledger.transactions_b00
      FOR VALUES FROM ('00000000-0000-0000-0000-000000000000')
      TO ('80000000-0000-0000-0000-000000000000');
    INSERT INTO ledger.transactions
      SELECT gen_random_uuid(), gen_random_uuid(), n, now() FROM generate_series(1, 100) n`)
  await connection.close()
  return url
}
