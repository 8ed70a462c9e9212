// Single transactions sent beside the load, each watched until it is visible in PostgreSQL.
// In:  a deployment.
// Out: how long each took to be acknowledged and to be visible, counted from when it was sent.
// Absent: the load.

import { randomBytes } from 'node:crypto'
import { connect } from '../../dist/postgres/connection.js'
import { databaseOf } from '../../dist/ledger/buckets.js'
import { partitionOf } from '../../dist/record/partition.js'
import { uuidText } from '../load/random.mjs'
import { Histogram } from './histogram.mjs'

const lanes = 6
/** The program's default; probes look for their row in the database of its bucket. */
const buckets = 16
/*
 * Looking costs PostgreSQL 0.15 ms. So first often, then less so: the error is below a fifth of what
 * is measured at first and a twentieth later, and all lanes together look 300 times a second at most.
 */
const firstLookMs = 2
const lookGrowth = 1.2
const mostLookMs = 20
const mostLookShare = 0.05
const pauseMs = 150
/** A probe that is not visible by then is left to the verification. */
const patienceMs = 120_000

const dayMs = 86_400_000

/**
 * A UUIDv7: milliseconds since 1970, then random bits (RFC 9562). Of yesterday: it is committed with
 * the rows of its flush like any other, and is looked up in a leaf that has its key. Looking for it
 * among the newest rows would read all of an open leaf each time, and measure that.
 */
function yesterdaysId() {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now() - dayMs, 0, 6)
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes
}

export class Probes {
  /** By id in hex: what the verification must find. */
  sent = new Map()
  acknowledged = new Histogram()
  visible = new Histogram()
  /** Milliseconds since 1970 when each became visible, and how long it took. */
  times = []
  #deployment
  /** For each lane, one to each database. */
  #connections = []
  #lanes = []
  #stopped = false
  #closed = false

  constructor(deployment) {
    this.#deployment = deployment
  }

  async connect() {
    for (let lane = 0; lane < lanes; lane++) {
      const open = this.#deployment.databaseUrls.map((url) =>
        connect(url, { applicationName: 'bench probe' }),
      )
      this.#connections.push(await Promise.all(open))
    }
  }

  begin() {
    this.#lanes = Array.from({ length: lanes }, (_, number) => this.#lane(number))
  }

  /** Forgets latencies so far: a window begins. */
  beginWindow() {
    this.acknowledged = new Histogram()
    this.visible = new Histogram()
  }

  /**
   * Latencies of the probes that were sent since the window began. They are complete once `stop` has
   * resolved: leaving out those that take longest would make all of them look quick.
   */
  endWindow() {
    const { acknowledged, visible } = this
    this.beginWindow()
    return { acknowledged, visible }
  }

  /** Waits for the probes under way. */
  async stop() {
    this.#stopped = true
    await Promise.all(this.#lanes)
    await this.close()
  }

  /** Waits for nothing. */
  async close() {
    this.#stopped = true
    this.#closed = true
    for (const connection of this.#connections.flat()) await connection.close()
    this.#connections = []
  }

  async #lane(number) {
    // The lanes do not ask at the same time.
    await pause((pauseMs * number) / lanes)
    for (let turn = 0; !this.#stopped; turn++) {
      await this.#probe(number, turn).catch(() => undefined)
      await pause(pauseMs * (0.5 + Math.random()))
    }
  }

  async #probe(lane, turn) {
    const { urls } = this.#deployment
    const [id, account] = [yesterdaysId(), randomBytes(16)]
    const probe = { accountHex: account.toString('hex'), amount: 1, acknowledged: false }
    this.sent.set(id.toString('hex'), probe)
    const body = JSON.stringify([
      { id: uuidText(id), account_id: uuidText(account), amount: probe.amount },
    ])
    const { acknowledged, visible } = this
    const sentAt = performance.now()
    const response = await fetch(`${urls[(lane + turn) % urls.length]}/v1/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(30_000),
    })
    await response.arrayBuffer()
    probe.acknowledged = response.status === 202
    if (!probe.acknowledged) return
    acknowledged.record(performance.now() - sentAt)
    if (!(await this.#untilVisible(lane, account, id, sentAt))) return
    const took = performance.now() - sentAt
    visible.record(took)
    this.times.push({ at: Date.now(), ms: took })
  }

  async #untilVisible(lane, account, id, sentAt) {
    const connections = this.#connections[lane]
    const look = () =>
      connections.length > 0
        ? lookInTables(connections, account, id)
        : this.#lookThroughApi(account)
    for (let wait = firstLookMs; since(sentAt) < patienceMs && !this.#closed;) {
      if (await look()) return true
      await pause(wait)
      wait = Math.min(wait * lookGrowth, Math.max(mostLookMs, mostLookShare * since(sentAt)))
    }
    return false
  }

  /** Each probe has an account of its own, which is there once the probe is. */
  async #lookThroughApi(account) {
    const [url] = this.#deployment.urls
    const response = await fetch(`${url}/v1/accounts/${uuidText(account)}`)
    await response.arrayBuffer()
    return response.status === 200
  }
}

async function lookInTables(connections, account, id) {
  const found = await databaseFor(connections, account).query(
    'SELECT 1 FROM ledger.transactions WHERE account_id = $1 AND id = $2',
    [uuidText(account), uuidText(id)],
  )
  return found.length > 0
}

function databaseFor(connections, account) {
  const databases = connections.length
  if (databases === 1) return connections[0]
  const partition = partitionOf(new DataView(account.buffer, account.byteOffset, 16), 0)
  return connections[databaseOf(partition % buckets, { buckets, databases })]
}

function since(time) {
  return performance.now() - time
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
