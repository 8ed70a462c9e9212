// Looks at the tables while PostgreSQL is killed again and again.
// In:  its URL, without any proxy.
// Out: answers to small questions, as soon as there is somebody to answer.
// Absent: whole tables (checker-tables.ts).

import { setTimeout as delay } from 'node:timers/promises'
import { Client, type QueryResultRow } from 'pg'

/** Sums over tens of millions of rows take their time. */
const queryMsMax = 120_000

export class Tables {
  readonly #url: string
  #client: Client | undefined

  constructor(url: string) {
    this.#url = url
  }

  /** Asks until it is answered, or throws the last error when it is too late. */
  async ask<Row extends QueryResultRow>(
    sql: string,
    values: readonly unknown[] = [],
    timeoutMs = 60_000,
  ): Promise<Row[]> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      try {
        const client = await this.#connected()
        return (await client.query<Row>(sql, [...values])).rows
      } catch (error) {
        await this.close()
        if (Date.now() > deadline) throw error
        await delay(50)
      }
    }
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    await client?.end().catch(() => undefined)
  }

  async #connected(): Promise<Client> {
    if (this.#client !== undefined) return this.#client
    const client = new Client({
      connectionString: this.#url,
      connectionTimeoutMillis: 2_000,
      query_timeout: queryMsMax,
      application_name: 'gauntlet',
    })
    // What ends a connection between two questions shows at the next one.
    client.on('error', () => undefined)
    await client.connect()
    this.#client = client
    return client
  }
}
