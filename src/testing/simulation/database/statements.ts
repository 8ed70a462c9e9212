// The SQL that the worker's commits, claims and upkeep send, and what PostgreSQL does for it.
// In:  one statement with its values, and a transaction.
// Out: its result; Blocked where it has to wait; an error as PostgreSQL's.
// Absent: every other SQL: a statement that is not known here is an error of syntax.

import { bucketOf } from '../../../record/partition.ts'
import { conflictName, partitionOfKey, quarantineName, type CheckpointRow } from './tables.ts'
import { readCopy } from './copy-data.ts'
import { postgresError } from './errors.ts'
import { moveCheckpoints } from './move-checkpoints.ts'
import type { Transaction } from './transaction.ts'

export interface Result {
  command: string
  rowCount: number
  rows: Record<string, unknown>[]
}

export interface Context {
  transaction: Transaction
  values: readonly unknown[]
  /** Of COPY. */
  data: readonly Uint8Array[]
  buckets: number
  /** Ends the sessions of those who hold these partitions' checkpoints, but for the caller's. */
  terminateHolders: (names: readonly string[], caller: Transaction) => void
  /** Tables that exist besides the default leaves. */
  leafTables: () => string[]
}

type Run = (context: Context, match: RegExpExecArray) => Result

const columns = 'SELECT partition, next_offset, epoch, owner, log_identity, .+ AS created_at'

const known: readonly (readonly [pattern: RegExp, run: Run])[] = [
  [
    /^UPDATE ledger\.checkpoints AS c SET (.+) FROM unnest\((.+)\) AS s \((.+?)\) WHERE (.+)$/,
    move,
  ],
  [/^(?:SAVEPOINT bucket)$/, (context) => done(context, (one) => one.setSavepoint())],
  // Nothing is archived here, so nothing goes back to it.
  [/^SAVEPOINT merging$/, nothing],
  [/^RELEASE bucket$/, (context) => done(context, (one) => one.releaseSavepoint())],
  [/^ROLLBACK TO bucket$/, (context) => done(context, (one) => one.rollbackToSavepoint())],
  [/^SET LOCAL synchronous_commit = (on|off)$/, setSynchronous],
  [/^SET LOCAL lock_timeout = (\d+)$/, setLockTimeout],
  [/^SET LOCAL enable_(?:hash|merge)join = off$/, nothing],
  [/^COPY ledger\.transactions(?:_b(\d\d))? \(.+\) FROM STDIN \(FORMAT binary\)$/, copy],
  [/^CREATE TEMPORARY TABLE incoming \(.+\)$/, createIncoming],
  [/^COPY pg_temp\.incoming FROM STDIN \(FORMAT binary\)$/, copyIncoming],
  [/^DROP TABLE pg_temp\.incoming$/, dropIncoming],
  [/^INSERT INTO ledger\.transactions_b\d\d .+ ORDER BY account_id, id(, ctid)? ON CON/, merge],
  [/^WITH differing AS MATERIALIZED .+ INSERT INTO ledger\.conflicts /, recordConflicts],
  [/^INSERT INTO ledger\.quarantine .+ FROM ledger\.checkpoints WHERE partition = \$1/, quarantine],
  [/^INSERT INTO ledger\.checkpoints .+ ON CONFLICT DO NOTHING$/, insertCheckpoints],
  [
    new RegExp(`^${columns} FROM ledger.checkpoints WHERE .+ ORDER BY partition( FOR UPDATE)?$`),
    read,
  ],
  [new RegExp(`^${columns} FROM ledger.checkpoints ORDER BY partition$`), readAll],
  [/^UPDATE ledger\.checkpoints SET epoch = epoch( \+ 1)?, owner = \$2, .+ RETURNING /, claim],
  [/^SELECT pg_terminate_backend\(holder\.pid\) /, terminate],
  [/^SELECT pg_logical_emit_message\(true, /, emitMessage],
  [/^SELECT pg_advisory_xact_lock\((\d+), (\d+)\)$/, lockAdvisory],
  [/^SELECT c\.relname AS leaf FROM pg_partition_tree/, nothing],
  [/^SELECT buckets, databases, database_index AS "databaseIndex" FROM ledger\.layout$/, layout],
  [/^SELECT relname AS name FROM pg_class /, leafTables],
  // What upkeep asks for besides: nothing of it is due.
  [/^SELECT format\('%I\.%I', s\.schemaname, s\.indexrelname\) AS index/, nothing],
  [/^SELECT c\.oid::regclass::text AS leaf FROM pg_class c /, nothing],
]

/** A statement by what it does; `BEGIN`, `COMMIT` and `ROLLBACK` are the session's. */
export interface Statement {
  text: string
  run: (context: Context) => Result
}

/** @param text with its white space made single spaces */
export function parse(text: string): Statement {
  for (const [pattern, run] of known) {
    const match = pattern.exec(text)
    if (match) return { text, run: (context) => run(context, match) }
  }
  const run = (): Result => {
    throw postgresError('42601', `The simulated PostgreSQL does not know this statement: ${text}`)
  }
  return { text, run }
}

function result(command: string, rowCount: number, rows: Record<string, unknown>[] = []): Result {
  return { command, rowCount, rows }
}

function nothing(): Result {
  return result('SET', 0)
}

function done({ transaction }: Context, act: (transaction: Transaction) => void): Result {
  act(transaction)
  return nothing()
}

function setSynchronous({ transaction }: Context, [, value]: RegExpExecArray): Result {
  transaction.isSynchronous = value === 'on'
  return nothing()
}

function setLockTimeout({ transaction }: Context, [, milliseconds]: RegExpExecArray): Result {
  transaction.lockTimeoutMs = Number(milliseconds)
  return nothing()
}

function move({ transaction }: Context, match: RegExpExecArray): Result {
  const [, assignments, arrays, names, conditions] = match
  return result('UPDATE', moveCheckpoints(transaction, { assignments, arrays, names, conditions }))
}

function copy({ transaction, data, buckets }: Context, [, bucket]: RegExpExecArray): Result {
  const rows = readCopy(data)
  for (const row of rows) {
    if (bucket !== undefined && bucketOf(partitionOfKey(row.key), buckets) !== Number(bucket)) {
      throw postgresError('23514', 'new row violates partition constraint')
    }
    if (!transaction.insert(row)) throw postgresError('23505', 'duplicate key value')
  }
  return result('COPY', rows.length)
}

function createIncoming({ transaction }: Context): Result {
  if (transaction.incoming) throw postgresError('42P07', 'relation "incoming" already exists')
  transaction.incoming = []
  return nothing()
}

function copyIncoming({ transaction, data }: Context): Result {
  transaction.incoming = readCopy(data)
  return result('COPY', transaction.incoming.length)
}

function dropIncoming({ transaction }: Context): Result {
  transaction.incoming = undefined
  return nothing()
}

function incomingOf({ incoming }: Transaction): NonNullable<Transaction['incoming']> {
  if (!incoming) throw postgresError('42P01', 'relation "pg_temp.incoming" does not exist')
  return incoming
}

/** Of equal keys the first; without ctid in the order, PostgreSQL may take any: here the last. */
function merge({ transaction }: Context, [, byPlace]: RegExpExecArray): Result {
  const incoming = [...incomingOf(transaction)]
  if (byPlace === undefined) incoming.reverse()
  return result('INSERT', incoming.filter((row) => transaction.insert(row)).length)
}

function recordConflicts({ transaction }: Context): Result {
  let count = 0
  for (const { key, amount } of incomingOf(transaction)) {
    if (transaction.entry(key)?.amount === amount) continue
    count++
    const isKnown =
      transaction.tables.conflicts.has(conflictName(key, amount)) ||
      transaction.changes.some(
        (one) => one.table === 'conflicts' && one.key === key && one.amount === amount,
      )
    if (!isKnown) transaction.changes.push({ table: 'conflicts', key, amount })
  }
  return result('SELECT', 1, [{ count: String(count) }])
}

function quarantine({ transaction, values }: Context): Result {
  const [partition, offset] = values as [number, number]
  const checkpoint = transaction.checkpoint(partition)
  if (!checkpoint) return result('INSERT', 0)
  const at = quarantineName(checkpoint.logIdentity, partition, offset)
  if (transaction.tables.quarantine.has(at)) return result('INSERT', 0)
  transaction.changes.push({ table: 'quarantine', at })
  return result('INSERT', 1)
}

function insertCheckpoints({ transaction, values }: Context): Result {
  const [partitions, offsets, owner, logIdentity] = values as [number[], number[], string, string]
  let count = 0
  for (const [index, partition] of partitions.entries()) {
    if (transaction.checkpoint(partition)) continue
    transaction.lock(`new checkpoint ${partition}`)
    const position = { nextOffset: offsets[index] ?? 0, epoch: 0, createdAt: undefined }
    const row = { partition, ...position, owner, logIdentity }
    transaction.changes.push({ table: 'checkpoints', cause: 'new', row })
    count++
  }
  return result('INSERT', count)
}

function read({ transaction, values }: Context, [, forUpdate]: RegExpExecArray): Result {
  const [partitions] = values as [number[]]
  const rows: CheckpointRow[] = []
  for (const partition of [...partitions].sort((a, b) => a - b)) {
    if (!transaction.checkpoint(partition)) continue
    if (forUpdate !== undefined) transaction.lock(`checkpoint ${partition}`)
    rows.push(transaction.checkpoint(partition) as CheckpointRow)
  }
  return result('SELECT', rows.length, rows.map(rowText))
}

function readAll({ transaction }: Context): Result {
  const rows = [...transaction.tables.checkpoints.values()].sort(
    (a, b) => a.partition - b.partition,
  )
  return result('SELECT', rows.length, rows.map(rowText))
}

function claim({ transaction, values }: Context, [, raises]: RegExpExecArray): Result {
  const [partitions, owner] = values as [number[], string]
  const rows: CheckpointRow[] = []
  for (const partition of partitions) {
    const row = transaction.checkpoint(partition)
    if (!row) continue
    transaction.lock(`checkpoint ${partition}`)
    const epoch = row.epoch + (raises === undefined ? 0 : 1)
    rows.push({ ...row, epoch, owner })
  }
  for (const row of rows) transaction.changes.push({ table: 'checkpoints', cause: 'claim', row })
  return result('UPDATE', rows.length, rows.map(rowText))
}

function rowText(row: CheckpointRow): Record<string, unknown> {
  return {
    partition: row.partition,
    next_offset: String(row.nextOffset),
    epoch: String(row.epoch),
    owner: row.owner,
    log_identity: row.logIdentity,
    created_at: row.createdAt === undefined ? null : String(row.createdAt),
  }
}

function terminate({ transaction, values, terminateHolders }: Context): Result {
  const [partitions] = values as [number[]]
  terminateHolders(
    partitions.map((partition) => `checkpoint ${partition}`),
    transaction,
  )
  return nothing()
}

function emitMessage({ transaction }: Context): Result {
  transaction.changes.push({ table: 'none' })
  return result('SELECT', 1)
}

function lockAdvisory({ transaction }: Context, [, kind, bucket]: RegExpExecArray): Result {
  transaction.lock(`advisory ${kind} ${bucket}`)
  return result('SELECT', 1)
}

function layout({ buckets }: Context): Result {
  return result('SELECT', 1, [{ buckets, databases: 1, databaseIndex: 0 }])
}

function leafTables(context: Context): Result {
  const names = context.leafTables()
  return result(
    'SELECT',
    names.length,
    names.map((name) => ({ name: name.replace('ledger.', '') })),
  )
}
