// What the ledger takes on disk.
// In:  databases, a data directory.
// Out: bytes of tables, of their indexes, and of the write-ahead log written so far.
// Absent: the Kafka broker's files.

import { connect } from '../../dist/postgres/connection.js'

const sizesSql = `
  SELECT sum(pg_table_size(oid))::float8 AS tables, sum(pg_indexes_size(oid))::float8 AS indexes,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal
  FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'r'`

/** Summed over the databases; undefined where none is known. */
export async function measureDisk(databaseUrls) {
  if (databaseUrls.length === 0) return undefined
  const total = { tables: 0, indexes: 0, wal: 0 }
  for (const url of databaseUrls) {
    const connection = await connect(url, { applicationName: 'bench' })
    try {
      const sizes = await connection.queryOne(sizesSql)
      for (const name of Object.keys(total)) total[name] += sizes[name]
    } finally {
      await connection.close()
    }
  }
  return total
}

/** Version of the server, such as `18.1`. */
export async function postgresVersion(databaseUrl) {
  const connection = await connect(databaseUrl, { applicationName: 'bench' })
  try {
    const row = await connection.queryOne('SHOW server_version')
    return row.server_version
  } finally {
    await connection.close()
  }
}
