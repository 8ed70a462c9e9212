import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Connection } from '../../postgres/connection.ts'
import {
  claimAll,
  column,
  createTestLedger,
  flushOf,
  withConnection,
} from '../../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { idAt, partitionOfAccount, type Entry } from '../../testing/rows.ts'
import type { Checkpoint, Flush } from '../flush.ts'
import { commitFlush } from '../commit.ts'
import { ChainExtender, type Extended } from './extend.ts'
import { observe } from './settled.ts'

let server: TestPostgres
before(async () => {
  server = await startTestPostgres()
})
after(() => server.stop())

const start = Date.now()
const buckets = [0, 1, 2, 3]
const partitions = [...Array(128).keys()]

function entriesAt(createdAt: number, count: number): Entry[] {
  return Array.from({ length: count }, (_, index) => {
    const id = index % 10 === 0 ? crypto.randomUUID() : idAt(createdAt)
    const amount = BigInt(index) * (index % 2 === 0 ? 1n : -(2n ** 48n))
    return { accountId: crypto.randomUUID(), id, amount, createdAt }
  })
}

/** A flush as a worker makes it, which knows when the records of each partition were created. */
function datedFlush(entries: readonly Entry[], checkpoints: readonly Checkpoint[]): Flush {
  const flush = flushOf(entries, checkpoints, true)
  const createdAt = (entries[0].createdAt - Date.UTC(2000, 0, 1)) * 1000
  return { ...flush, steps: flush.steps.map((step) => ({ ...step, createdAt })) }
}

/** Commits flushes, one after the other. */
async function commitAll(connection: Connection, flushes: readonly Entry[][]): Promise<void> {
  let checkpoints = await claimAll(connection, partitions)
  for (const entries of flushes) {
    const flush = datedFlush(entries, checkpoints)
    assert.equal((await commitFlush(connection, flush)).kind, 'committed')
    const to = new Map(flush.steps.map((step) => [step.partition, step.to]))
    checkpoints = checkpoints.map((one) => {
      return { ...one, nextOffset: to.get(one.partition) ?? one.nextOffset }
    })
  }
}

async function extendAll(connection: Connection): Promise<Extended[]> {
  const extender = new ChainExtender()
  const all: Extended[] = []
  for (const bucket of buckets) {
    for (;;) {
      const done = await extender.extend(connection, await observe(connection, bucket))
      assert(done !== undefined)
      all.push(done)
      if (!done.isBehind) break
    }
  }
  return all
}

/** The chain computed once more, by PostgreSQL, as the comments of the table tell it. */
const recomputed = `
  WITH numbered AS (
    SELECT c.*, lag(to_created_at, 1, '-infinity') OVER w AS from_created_at,
      lag(to_offset, 1, 0::bigint) OVER w AS from_offset,
      lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER w AS before
    FROM ledger.chain c WINDOW w AS (PARTITION BY partition ORDER BY link)
  ), parts AS (
    SELECT n.*,
      (SELECT coalesce(string_agg(uuid_send(account_id) || uuid_send(id) || int8send(amount)
           || timestamptz_send(created_at), '' ORDER BY created_at, account_id, id), '')
       FROM ledger.transactions t WHERE created_at > from_created_at AND created_at <= to_created_at
         AND satisfies_hash_partition('ledger.transactions'::regclass, 128, partition, account_id)
      ) AS entries,
      (SELECT coalesce(string_agg(uuid_send(account_id) || uuid_send(id) || int8send(amount)
           || int8send(recorded_amount) || timestamptz_send(created_at),
           '' ORDER BY created_at, account_id, id, int8send(amount)), '')
       FROM ledger.conflicts t WHERE created_at > from_created_at AND created_at <= to_created_at
         AND satisfies_hash_partition('ledger.transactions'::regclass, 128, partition, account_id)
      ) AS refused,
      (SELECT coalesce(string_agg(int8send(log_offset) || timestamptz_send(created_at)
           || sha256(convert_to(log_identity, 'UTF8')) || sha256(convert_to(reason, 'UTF8'))
           || sha256(bytes), '' ORDER BY log_offset), '')
       FROM ledger.quarantine q
       WHERE q.partition = n.partition AND log_offset >= from_offset AND log_offset < to_offset
      ) AS kept
    FROM numbered n
  )
  SELECT content = sha256(sha256(entries) || sha256(refused) || sha256(kept))
    AND rows = length(entries) / 48
    AND hash = sha256(before || int4send(partition) || int8send(link) || int8send(to_offset)
      || timestamptz_send(to_created_at) || int8send(rows) || int8send(conflicts)
      || int8send(quarantined) || content || convert_to(sum::text, 'UTF8')) AS agrees
  FROM parts`

test('links say what was committed, as PostgreSQL computes it from the tables', async () => {
  const url = await createTestLedger(server)
  await withConnection(url, async (connection) => {
    const first = entriesAt(start, 3000)
    const again = first.slice(0, 200).map((entry, index) => {
      return { ...entry, amount: entry.amount + BigInt(index % 2), createdAt: start + 10 }
    })
    await commitAll(connection, [first, again])
    assert.deepEqual(await column(url, 'SELECT count(*)::int FROM ledger.conflicts'), [100])
    await quarantineOne(connection)
    await extendAll(connection)
    await commitAll(connection, [entriesAt(start + 70_000, 2000)])
    await extendAll(connection)
    assert.deepEqual(new Set(await column(url, recomputed)), new Set([true]))
    const told = `SELECT concat_ws(' ', sum(rows), sum(sum), sum(conflicts), sum(quarantined))
      FROM ledger.chain`
    const there = `SELECT concat_ws(' ', count(*), sum(amount),
      (SELECT count(*) FROM ledger.conflicts), (SELECT count(*) FROM ledger.quarantine))
      FROM ledger.transactions`
    assert.deepEqual(await column(url, told), await column(url, there))
    // Nothing is linked twice, and what is unchanged needs no further link.
    assert.deepEqual(new Set((await extendAll(connection)).map(({ links }) => links)), new Set([0]))
  })
})

/** As commit.ts leaves it. */
async function quarantineOne(connection: Connection): Promise<void> {
  await connection.script(`
    INSERT INTO ledger.quarantine (log_identity, partition, log_offset, reason, bytes, created_at)
    SELECT log_identity, partition, next_offset, 'Byte 0: expected é', 'abc', now()
    FROM ledger.checkpoints WHERE partition = 7;
    UPDATE ledger.checkpoints SET next_offset = next_offset + 1 WHERE partition = 7`)
}

test('a ledger that is much longer than a window is linked bit by bit', async () => {
  const url = await createTestLedger(server)
  await withConnection(url, async (connection) => {
    const days = [0, 1, 2, 5].map((day) => entriesAt(start + day * 86_400_000, 500))
    await commitAll(connection, days)
    const steps = await extendAll(connection)
    assert(steps.length > 2 * buckets.length, `${steps.length} windows`)
    assert.deepEqual(new Set(await column(url, recomputed)), new Set([true]))
    assert.deepEqual(await column(url, 'SELECT sum(rows)::int FROM ledger.chain'), [2000])
  })
})

test('what is in a leaf without a key waits until it has one', async () => {
  const url = await createTestLedger(server)
  await withConnection(url, async (connection) => {
    const entries = entriesAt(start, 400)
    await commitAll(connection, [entries])
    const [account] = entries.map(({ accountId }) => accountId)
    const bucket = partitionOfAccount(account) % buckets.length
    const leaf = `transactions_b0${bucket}_default`
    await connection.execute(`DROP INDEX ledger.${leaf}_key`)
    const observed = await observe(connection, bucket)
    const extender = new ChainExtender()
    assert.equal(await extender.extend(connection, observed), undefined)
    await connection.execute(`CREATE UNIQUE INDEX ${leaf}_key ON ledger.${leaf} (account_id, id)`)
    const done = await extender.extend(connection, observed)
    const own = entries.filter(({ accountId }) => partitionOfAccount(accountId) % 4 === bucket)
    assert.equal(done?.rows, own.length)
  })
})

test('several who link at once leave each link once', async () => {
  const url = await createTestLedger(server)
  await withConnection(url, async (connection) => {
    await commitAll(connection, [entriesAt(start, 5000)])
    const many = Array.from({ length: 6 }, () =>
      withConnection(url, async (own) => {
        const extender = new ChainExtender()
        for (const bucket of buckets) await extender.extend(own, await observe(own, bucket))
      }),
    )
    await Promise.all(many)
    await extendAll(connection)
    assert.deepEqual(new Set(await column(url, recomputed)), new Set([true]))
    assert.deepEqual(await column(url, 'SELECT sum(rows)::int FROM ledger.chain'), [5000])
  })
})
