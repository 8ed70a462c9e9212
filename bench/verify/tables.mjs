// Every row of the ledger, read through PostgreSQL's own COPY, for the checker.
// In:  the URLs of the databases.
// Out: a call for each row and each conflict.
// Absent: judging them (checker.mjs).

import { to as copyTo } from 'pg-copy-streams'
import { connect } from '../../dist/postgres/connection.js'

/* Row => INT16 3, INT32 16 account_id, INT32 16 id, INT32 8 amount */
const rowBytes = 2 + 2 * (4 + 16) + (4 + 8)
const accountAt = 2 + 4
const idAt = accountAt + 16 + 4
const amountAt = idAt + 16 + 4
const headerBytes = 19

/** Calls the checker for all that stands in the ledger's tables. */
export async function readTables(databaseUrls, checker) {
  for (const url of databaseUrls) {
    const connection = await connect(url, { applicationName: 'bench', answerSeconds: 3600 })
    try {
      await readRows(connection, 'ledger.transactions', checker.row.bind(checker))
      await readRows(connection, 'ledger.conflicts', checker.conflict.bind(checker))
    } finally {
      await connection.close()
    }
  }
}

async function readRows(connection, table, onRow) {
  const sql = `COPY (SELECT account_id, id, amount FROM ${table}) TO STDOUT (FORMAT binary)`
  const stream = connection.client.query(copyTo(sql))
  let rest = Buffer.alloc(0)
  let isFirst = true
  for await (const chunk of stream) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = isFirst ? headerBytes : 0
    if (bytes.length < at) {
      rest = bytes
      continue
    }
    isFirst = false
    for (; at + rowBytes <= bytes.length; at += rowBytes) {
      onRow(bytes, at + accountAt, at + idAt, at + amountAt)
    }
    rest = bytes.subarray(at)
  }
  if (rest.length !== 2 || rest.readInt16BE(0) !== -1) {
    throw new Error(`${table}: the end of COPY was expected, ${rest.length} other bytes were found`)
  }
}
