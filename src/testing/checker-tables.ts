// Reads the ledger's tables for the checker, through connections of its own.
// In:  a database URL.
// Out: every row of the tables, as of one instant.
// Absent: the program's code. Names and types of tables and columns are all that is shared.

import { Client } from 'pg'
import { to as copyTo } from 'pg-copy-streams'

/** Receives the 16 bytes of each id at an offset of a buffer that is valid only during the call. */
export type EntryVisitor = (
  bytes: Buffer,
  accountAt: number,
  idAt: number,
  amount: bigint,
  createdAtMs: number,
) => void

export interface CheckpointRow {
  partition: number
  nextOffset: number
  epoch: number
  owner: string
}

export interface QuarantineRow {
  partition: number
  offset: number
  reason: string
}

/** A conflict that names another amount than its row has. */
export interface ContradictionRow {
  accountId: string
  id: string
  recordedAmount: string
  amount: string
}

export interface Snapshot {
  checkpoints: readonly CheckpointRow[]
  quarantine: readonly QuarantineRow[]
  contradictions: readonly ContradictionRow[]
}

export interface Visitors {
  row: EntryVisitor
  /** `amount` is the one that was refused because another was there. */
  conflict: EntryVisitor
}

const selectCheckpoints = `
  SELECT partition::int, next_offset::float8 AS "nextOffset", epoch::float8, owner
    FROM ledger.checkpoints`

const microsecondsTo2000 = 946_684_800_000_000n

/** The tables of a database as of the instant at which it was opened. */
export class OpenTables {
  readonly #client: Client

  private constructor(client: Client) {
    this.#client = client
  }

  static async open(url: string): Promise<OpenTables> {
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    // The first statement sets the instant.
    await client.query('SELECT 1')
    return new OpenTables(client)
  }

  /** Shows all rows and conflicts to the visitors, and returns the rest. */
  async read(visitors: Visitors): Promise<Snapshot> {
    const client = this.#client
    await copyEntries(client, 'ledger.transactions', visitors.row)
    await copyEntries(client, 'ledger.conflicts', visitors.conflict)
    const checkpoints = await client.query<CheckpointRow>(selectCheckpoints)
    const quarantine = await client.query<QuarantineRow>(
      `SELECT partition::int, log_offset::float8 AS "offset", reason FROM ledger.quarantine`,
    )
    const contradictions = await client.query<ContradictionRow>(
      `SELECT account_id AS "accountId", id, recorded_amount AS "recordedAmount", t.amount
         FROM ledger.conflicts c JOIN ledger.transactions t USING (account_id, id)
        WHERE recorded_amount <> t.amount`,
    )
    await client.query('COMMIT')
    return {
      checkpoints: checkpoints.rows,
      quarantine: quarantine.rows,
      contradictions: contradictions.rows,
    }
  }

  async close(): Promise<void> {
    await this.#client.end()
  }
}

export async function readCheckpoints(url: string): Promise<readonly CheckpointRow[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<CheckpointRow>(selectCheckpoints)).rows
  } finally {
    await client.end()
  }
}

/** How many rows and conflicts there are: a cheap way to see that something still moves. */
export async function countEntries(
  urls: readonly string[],
): Promise<{ rows: number; conflicts: number }> {
  const total = { rows: 0, conflicts: 0 }
  for (const url of urls) {
    const client = new Client({ connectionString: url })
    await client.connect()
    try {
      const result = await client.query<{ rows: number; conflicts: number }>(
        `SELECT (SELECT count(*) FROM ledger.transactions)::float8 AS rows,
                (SELECT count(*) FROM ledger.conflicts)::float8 AS conflicts`,
      )
      total.rows += result.rows[0]?.rows ?? 0
      total.conflicts += result.rows[0]?.conflicts ?? 0
    } finally {
      await client.end()
    }
  }
  return total
}

/*
 * Copy  => "PGCOPY\n\377\r\n\0" INT32 flags INT32 length extension[length] *Tuple INT16 -1
 * Tuple => INT16 4, INT32 16 account_id, INT32 16 id, INT32 8 amount, INT32 8 created_at
 */
const headerBytes = 19
const tupleBytes = 66

async function copyEntries(client: Client, table: string, visit: EntryVisitor): Promise<void> {
  const sql = `COPY (SELECT account_id, id, amount, created_at FROM ${table})
                 TO STDOUT (FORMAT binary)`
  let rest = Buffer.alloc(0)
  let skip = headerBytes
  for await (const chunk of client.query(copyTo(sql)) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = Math.min(skip, bytes.length)
    skip -= at
    for (; at + tupleBytes <= bytes.length; at += tupleBytes) {
      expectTuple(bytes, at, table)
      const micros = bytes.readBigInt64BE(at + 58) + microsecondsTo2000
      visit(bytes, at + 6, at + 26, bytes.readBigInt64BE(at + 46), Number(micros) / 1000)
    }
    rest = Buffer.from(bytes.subarray(at))
  }
  if (rest.length !== 2 || rest.readInt16BE(0) !== -1) {
    throw new Error(`${table}: expected the end of the copy, found ${rest.toString('hex')}.`)
  }
}

function expectTuple(bytes: Buffer, at: number, table: string): void {
  const fits =
    bytes.readInt16BE(at) === 4 &&
    bytes.readInt32BE(at + 2) === 16 &&
    bytes.readInt32BE(at + 22) === 16 &&
    bytes.readInt32BE(at + 42) === 8 &&
    bytes.readInt32BE(at + 54) === 8
  if (fits) return
  const found = bytes.subarray(at, at + tupleBytes).toString('hex')
  throw new Error(`${table}: expected uuid, uuid, bigint and timestamptz, found ${found}.`)
}
