// Progress: who owns each log partition, and how far it is applied.
// In:  claims, and questions.
// Out: checkpoints as PostgreSQL has them.
// Absent: moving next_offset, which only commit.ts does.

import assert from 'node:assert/strict'
import { LedgerError } from '../errors.ts'
import type { Offset } from '../log/log.ts'
import { postgresEpochMs } from './moment.ts'
import type { Connection } from '../postgres/connection.ts'
import { sqlState } from '../postgres/retry.ts'
import { partitionCount } from '../record/layout.ts'
import type { Checkpoint } from './flush.ts'

export interface Claim {
  partitions: readonly number[]
  /** Names this process to operators and to those it takes partitions from. */
  owner: string
  /** Of the log the partitions will be read from. */
  logIdentity: string
  /**
   * Where to begin partitions that have no checkpoint yet; 0 where none is given. A log that begins
   * later than at 0 must be named here on purpose: otherwise its reader reports OFFSET_GONE rather
   * than skip anything.
   */
  initialOffsets?: ReadonlyMap<number, Offset>
}

/** An instant as microseconds since 2000-01-01 UTC, which is how PostgreSQL keeps it. */
export function sinceEpoch(expression: string): string {
  return `((extract(epoch FROM ${expression}) - ${postgresEpochMs / 1000}) * 1000000)::bigint`
}

const columns =
  'partition, next_offset, epoch, owner, log_identity, ' +
  `${sinceEpoch('last_created_at')} AS created_at`

interface Row {
  partition: number
  next_offset: string
  epoch: string
  owner: string
  log_identity: string
  created_at: string | null
}

/**
 * How long a claim waits for a flush that holds a checkpoint before it ends that flush's session.
 */
const patienceMilliseconds = 2_000

/**
 * Makes the partitions ours: raises their epochs, after which no flush under an older one can
 * commit. Rejects with LOG_IDENTITY_CHANGED, and changes nothing, when a checkpoint belongs to
 * another log.
 */
export async function claim(connection: Connection, wanted: Claim): Promise<Checkpoint[]> {
  for (;;) {
    try {
      return await claimOnce(connection, wanted)
    } catch (error) {
      if (connection.lost !== undefined) throw error
      await connection.execute('ROLLBACK')
      const cause = error instanceof LedgerError ? error.cause : undefined
      if (sqlState(cause) !== '55P03') throw error
      await endFlushesOf(connection, wanted.partitions)
    }
  }
}

async function claimOnce(connection: Connection, wanted: Claim): Promise<Checkpoint[]> {
  const partitions = [...new Set(wanted.partitions)].sort((a, b) => a - b)
  partitions.forEach(assertPartition)
  const offsets = partitions.map((partition) => wanted.initialOffsets?.get(partition) ?? 0)
  // A claim must survive a crash: were it forgotten, an older owner could write again beside us.
  await connection.script(
    `BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = ${patienceMilliseconds}`,
  )
  await connection.execute(
    `INSERT INTO ledger.checkpoints (partition, next_offset, epoch, owner, log_identity)
     SELECT partition, next_offset, 0, $3, $4
     FROM unnest($1::int[], $2::bigint[]) AS missing (partition, next_offset)
     ORDER BY partition ON CONFLICT DO NOTHING`,
    [partitions, offsets, wanted.owner, wanted.logIdentity],
  )
  // Locked in order, so that two claims that overlap wait for each other instead of deadlocking.
  const found = await connection.query<Row>(
    `SELECT ${columns} FROM ledger.checkpoints WHERE partition = ANY ($1::int[])
     ORDER BY partition FOR UPDATE`,
    [partitions],
  )
  checkIdentity(connection, found, wanted.logIdentity)
  const claimed = await connection.query<Row>(
    `UPDATE ledger.checkpoints SET epoch = epoch + 1, owner = $2, claimed_at = now()
     WHERE partition = ANY ($1::int[]) RETURNING ${columns}`,
    [partitions, wanted.owner],
  )
  await connection.execute('COMMIT')
  return claimed.map(checkpointOf).sort((a, b) => a.partition - b.partition)
}

function checkIdentity(connection: Connection, found: readonly Row[], expected: string): void {
  const other = found.find((row) => row.log_identity !== expected)
  if (other === undefined) return
  throw new LedgerError(
    'LOG_IDENTITY_CHANGED',
    `Partition ${other.partition}: ${connection.where} has offset ${other.next_offset} of log ` +
      `"${other.log_identity}", and the log is "${expected}". Offsets of one log mean nothing in ` +
      'another, so nothing of it is applied.',
  )
}

/**
 * A process that was stopped in the middle of a flush (a paused machine, SIGSTOP) holds its
 * checkpoints locked for as long as its session lives, and the partitions would stand still until
 * it wakes. They are ours now: end the session. Its flush rolls back, and whatever it held is
 * applied by us.
 */
async function endFlushesOf(connection: Connection, partitions: readonly number[]): Promise<void> {
  await connection.execute(
    `SELECT pg_terminate_backend(holder.pid)
     FROM (SELECT DISTINCT pid FROM ledger.checkpoints c
           JOIN pg_locks l ON l.locktype = 'transactionid' AND l.transactionid = c.xmax
           WHERE c.partition = ANY ($1::int[]) AND l.granted AND l.pid <> pg_backend_pid()) holder`,
    [partitions],
  )
}

/**
 * What PostgreSQL has of the given partitions, ascending; partitions nobody has claimed yet are
 * left out.
 */
export async function readCheckpoints(
  connection: Connection,
  partitions: readonly number[],
): Promise<Checkpoint[]> {
  const rows = await connection.query<Row>(
    `SELECT ${columns} FROM ledger.checkpoints WHERE partition = ANY ($1::int[])
     ORDER BY partition`,
    [partitions],
  )
  return rows.map(checkpointOf)
}

/**
 * All checkpoints of this database, as they would be found after a crash right now at the latest.
 *
 * Flushes commit with synchronous_commit = off, so a checkpoint that can be read may not be on
 * disk. But a commit becomes visible only after its record is in the write-ahead log, and that log
 * reaches the disk in order. So we read first, then write a record of our own (a logical message,
 * which changes no table) and commit it synchronously: when that commit returns, everything we have
 * read is on disk too.
 */
export async function durableCheckpoints(connection: Connection): Promise<Checkpoint[]> {
  // Two statements of one message see two snapshots, in this order, which is all that is needed.
  const results = await connection.script(
    `BEGIN; SET LOCAL synchronous_commit = on;
     SELECT ${columns} FROM ledger.checkpoints ORDER BY partition;
     SELECT pg_logical_emit_message(true, 'ledger', 'durable'); COMMIT`,
  )
  const rows = (results[2]?.rows ?? []) as unknown as Row[]
  return rows.map(checkpointOf)
}

function checkpointOf(row: Row): Checkpoint {
  return {
    partition: row.partition,
    nextOffset: Number(row.next_offset),
    epoch: Number(row.epoch),
    owner: row.owner,
    logIdentity: row.log_identity,
    ...(row.created_at === null ? {} : { createdAt: Number(row.created_at) }),
  }
}

/** Whole numbers as the text of a PostgreSQL array, quoted. */
export function arrayLiteral(values: readonly number[]): string {
  for (const value of values) assert(Number.isSafeInteger(value) && value >= 0, `${value}`)
  return `'{${values.join(',')}}'`
}

export function assertPartition(partition: number): void {
  assert(
    Number.isSafeInteger(partition) && partition >= 0 && partition < partitionCount,
    `a partition below ${partitionCount}, not ${partition}`,
  )
}
