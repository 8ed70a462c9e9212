// How many rows a second PostgreSQL takes into the ledger's real tables by COPY alone.
// In:  a server; how many rows a bucket, how many connections, for how long.
// Out: rows a second over a window that begins when the tables have grown.
// Absent: HTTP, the log, encoding: the buffers are ready before the clock runs.

import { randomBytes } from 'node:crypto'
import { bucketTable } from '../../dist/ledger/buckets.js'
import { ensureLeaves } from '../../dist/ledger/leaves.js'
import { migrate } from '../../dist/ledger/migrate.js'
import { createLogger } from '../../dist/observe/logger.js'
import { connect } from '../../dist/postgres/connection.js'
import { copyIn } from '../../dist/postgres/copy.js'
import { partitionOf } from '../../dist/record/partition.js'
import { Bodies } from '../load/bodies.mjs'

const buckets = 16
const rowBytes = 66
const headerBytes = 19
const header = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex')

/** The accounts of the steady load by bucket, as often as they come there, sorted. */
function accountsByBucket() {
  const bodies = new Bodies({ seed: randomBytes(16).toString('hex'), items: 5000 })
  const lists = Array.from({ length: buckets }, () => [])
  for (const { accounts } of bodies.templates) {
    for (const index of accounts) {
      const account = bodies.pool[index]
      const view = new DataView(account.buffer, account.byteOffset, 16)
      lists[partitionOf(view, 0) % buckets].push(account)
    }
  }
  for (const list of lists) list.sort(Buffer.compare)
  return lists
}

/** One bucket's COPY, its rows as often sorted as asked. Ids differ behind their timestamp. */
function prepareCopy(accounts, rows, sorted) {
  const order = Array.from({ length: rows }, (_, index) => index)
  if (!sorted) shuffle(order)
  const copy = Buffer.alloc(headerBytes + rows * rowBytes + 2)
  header.copy(copy)
  const createdAt = BigInt(Date.now() - Date.UTC(2000, 0, 1)) * 1000n
  order.forEach((key, index) => {
    const at = headerBytes + index * rowBytes
    copy.writeInt16BE(4, at)
    copy.writeInt32BE(16, at + 2)
    accounts[Math.floor((key * accounts.length) / rows)].copy(copy, at + 6)
    copy.writeInt32BE(16, at + 22)
    copy.writeUInt32BE(0x7abc8d00, at + 32)
    copy.writeUInt32BE(key, at + 36)
    copy.writeUInt16BE((key * 40_503) & 0xffff, at + 40)
    copy.writeInt32BE(8, at + 42)
    copy.writeBigInt64BE(BigInt(key) - 100_000n, at + 46)
    copy.writeInt32BE(8, at + 54)
    copy.writeBigInt64BE(createdAt, at + 58)
  })
  copy.writeInt16BE(-1, copy.length - 2)
  return copy
}

function shuffle(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[list[i], list[j]] = [list[j], list[i]]
  }
}

/** Gives every row an id of a millisecond nobody used before, so that no flush repeats a key. */
function renew(copy, millisecond) {
  for (let at = headerBytes + 26; at + 6 < copy.length; at += rowBytes) {
    copy.writeUIntBE(millisecond, at, 6)
  }
}

/** One transaction as a worker's flush would make it: its buckets, one COPY each. */
async function flush(connection, copies) {
  await connection.script('BEGIN; SET LOCAL synchronous_commit = off')
  for (const { bucket, copy } of copies) {
    const columns = 'account_id, id, amount, created_at'
    await copyIn(
      connection,
      `SAVEPOINT bucket; COPY ${bucketTable(bucket)} (${columns}) FROM STDIN (FORMAT binary)`,
      [copy],
    )
  }
  await connection.execute('COMMIT')
}

export class CopyLimit {
  #open = []
  #accounts = accountsByBucket()
  #millisecond = Date.now() - 3_600_000
  #prepared = { key: '', copies: [] }

  /** @param {number} connections the most that will be measured with */
  static async open(url, connections) {
    const limit = new CopyLimit()
    for (let i = 0; i < connections; i++) {
      limit.#open.push(await connect(url, { applicationName: 'bench' }))
    }
    await migrate(limit.#open[0], { buckets, databases: 1, databaseIndex: 0 })
    await ensureLeaves(limit.#open[0], createLogger('warn', 'json'))
    return limit
  }

  /**
   * From empty tables; only flushes that begin after the warm-up count. The time between flushes, in
   * which the ids are renewed, does not.
   */
  async measure({ connections, rowsPerBucket, sorted = true, warmUpSeconds, seconds, onFlush }) {
    await this.#open[0].script('TRUNCATE ledger.transactions')
    await this.#open[0].script('CHECKPOINT')
    const copies = this.#copies(rowsPerBucket, sorted)
    const shares = this.#open.slice(0, connections).map((connection, index) => {
      const own = copies.filter(
        ({ bucket }) => Math.floor((bucket * connections) / buckets) === index,
      )
      return { connection, own }
    })
    const total = { rows: 0, ms: 0 }
    const window = { rows: 0, ms: 0 }
    while (window.rows === 0 || total.ms < (warmUpSeconds + seconds) * 1000) {
      this.#millisecond += 1
      for (const { copy } of copies) renew(copy, this.#millisecond)
      const isWarm = total.ms >= warmUpSeconds * 1000
      const start = performance.now()
      await Promise.all(shares.map(({ connection, own }) => flush(connection, own)))
      const took = performance.now() - start
      for (const sum of isWarm ? [total, window] : [total]) {
        sum.rows += rowsPerBucket * buckets
        sum.ms += took
      }
      onFlush?.(total)
    }
    return { rowsPerSecond: (window.rows * 1000) / window.ms, rows: total.rows }
  }

  #copies(rowsPerBucket, sorted) {
    const key = `${rowsPerBucket} ${sorted}`
    if (this.#prepared.key !== key) {
      const copies = this.#accounts.map((list, bucket) => {
        return { bucket, copy: prepareCopy(list, rowsPerBucket, sorted) }
      })
      this.#prepared = { key, copies }
    }
    return this.#prepared.copies
  }

  async close() {
    for (const connection of this.#open) await connection.close()
  }
}
