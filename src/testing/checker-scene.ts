// Histories written by hand, and tables to go with them.
// In:  a PostgreSQL.
// Out: scenes in which the checker must find what was planted.
// Absent: the checks' rules.

import assert from 'node:assert/strict'
import { Client } from 'pg'
import {
  assertClean,
  check,
  type CheckOptions,
  type CheckReport,
  type ViolationKind,
} from './checker.ts'
import { beginAttempt, endAttempt, History, type Answer, type SentBatch } from './history.ts'
import { startTestPostgres, type TestPostgres } from './postgres.ts'
import { uuidFromText, uuidText } from './uuid-text.ts'

/** Without keys, so that what the real tables forbid can be planted as well. */
const keylessTables = `
  DROP SCHEMA IF EXISTS ledger CASCADE;
  CREATE SCHEMA ledger;
  CREATE TABLE ledger.transactions (
    account_id uuid, id uuid, amount bigint, created_at timestamptz
  );
  CREATE TABLE ledger.conflicts (LIKE ledger.transactions, recorded_amount bigint);
  CREATE TABLE ledger.quarantine (partition int, log_offset bigint, reason text);
  CREATE TABLE ledger.checkpoints (partition int, next_offset bigint, epoch bigint, owner text);
`

export const account = uuidFromText('aaaaaaaa-0000-4000-8000-000000000000')
/** When the histories begin. */
export const start = Date.UTC(2026, 0, 1)

/** A history written by hand, and the tables that belong to it. */
export class Scene {
  readonly history = new History()
  readonly database: Client
  readonly url: string

  constructor(database: Client, url: string) {
    this.database = database
    this.url = url
  }

  /** Items are [number of the id, amount]; the answer comes a second after the request. */
  send(items: [id: number, amount: bigint][], answer: Answer, atSecond = 0): SentBatch {
    const batch = this.history.begin()
    for (const [id, amount] of items) this.history.add(numbered(id), account, amount)
    this.resend(batch, answer, atSecond)
    return batch
  }

  resend(batch: SentBatch, answer: Answer, atSecond: number): void {
    const attempt = beginAttempt(batch, 'client 7', start + atSecond * 1000)
    if (answer === 'pending') return
    endAttempt(attempt, answer, 'as told', start + atSecond * 1000 + 1000)
  }

  async row(
    id: number,
    amount: bigint,
    { table = 'transactions', second = 0.5 } = {},
  ): Promise<void> {
    const values = [uuidText(account), uuidText(numbered(id)), amount, start / 1000 + second]
    await this.database.query(
      `INSERT INTO ledger.${table} VALUES ($1, $2, $3, to_timestamp($4))`,
      values,
    )
  }

  async conflict(id: number, amount: bigint): Promise<void> {
    await this.row(id, amount, { table: 'conflicts' })
  }

  /** Expects exactly these breaches, each told with the client that is concerned. */
  async finds(
    expected: Partial<Record<ViolationKind, number>>,
    more: Partial<CheckOptions> = {},
  ): Promise<CheckReport> {
    const report = await check({ databases: [this.url], history: this.history, ...more })
    assert.deepEqual(report.counts, expected)
    const total = Object.values(report.counts).reduce((sum, count) => sum + count, 0)
    assert.equal(report.violations.length, total)
    if (total > 0) assert.throws(() => assertClean(report))
    else assertClean(report)
    return report
  }
}

/** The id with this number. */
export function numbered(id: number): Uint8Array {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(12, id)
  return bytes
}

/** A PostgreSQL whose keyless tables are emptied for each scene. */
export interface Stage {
  server: TestPostgres
  /** Where `openScene` plays. */
  url: string
  openScene(): Promise<Scene>
  /** Another database with empty tables. */
  createEmpty(name: string): Promise<string>
  close(): Promise<void>
}

export async function openStage(): Promise<Stage> {
  const server = await startTestPostgres()
  const database = new Client(server.url)
  await database.connect()
  return {
    server,
    url: server.url,
    async openScene() {
      await database.query(keylessTables)
      return new Scene(database, server.url)
    },
    async createEmpty(name) {
      const url = await server.createDatabase(name)
      const other = new Client(url)
      await other.connect()
      await other.query(keylessTables)
      await other.end()
      return url
    },
    async close() {
      await database.end()
      await server.stop()
    },
  }
}
