// What the program prints for a person once it is ready: where it listens and what to paste.
// In:  the address, where the data is.
// Out: text.
// Absent: logs (observe/logger.ts).

import { randomBytes, randomUUID } from 'node:crypto'

export interface Place {
  /** `host:port` as bound. */
  listen: string
  /** Undefined where this process takes no batches. */
  postsBatches: boolean
  readsAccounts: boolean
  dataDir: string | undefined
  /** For psql; undefined unless the database is the embedded one. */
  databaseUrl: string | undefined
}

/** A UUIDv7: milliseconds since 1970, then random bits (RFC 9562). */
function uuidv7(): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Lines that can be pasted into a shell: post two transactions, look at one of the accounts. */
export function bannerText(place: Place): string {
  const url = `http://${place.listen}`
  const [from, to] = [randomUUID(), randomUUID()]
  const id = uuidv7()
  const entries = [
    { id, account_id: from, amount: -1250 },
    { id, account_id: to, amount: 1250 },
  ]
  const lines = ['', `  Transaction Ledger listens on ${url}`]
  if (place.dataDir !== undefined) lines.push(`  data is in ${place.dataDir}`)
  if (place.postsBatches) {
    lines.push('', '  Post two transactions, the two sides of a transfer:', '')
    lines.push(`curl -sS ${url}/v1/transactions -H 'content-type: application/json' \\`)
    lines.push(`  -d '${JSON.stringify(entries)}'`)
  }
  if (place.postsBatches && place.readsAccounts) {
    lines.push('', '  See them in the database:', '', `curl -sS ${url}/v1/accounts/${to}`)
    lines.push(`curl -sS ${url}/v1/accounts/${from}/transactions`)
  }
  if (place.databaseUrl !== undefined) {
    lines.push('', '  Or with SQL:', '')
    lines.push(`psql '${place.databaseUrl}' -c 'SELECT * FROM ledger.transactions LIMIT 10'`)
  }
  return [...lines, ''].join('\n')
}
