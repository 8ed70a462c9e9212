// Server settings of the embedded PostgreSQL: a small machine whose main work is COPY.
// In:  the machine's memory.
// Out: settings.
// Absent: anything that trades durability for speed: fsync and full_page_writes stay on. That
//         flushes commit asynchronously is the worker's choice, for each transaction
//         (ledger/commit.ts).

import { totalmem } from 'node:os'

const mebibyte = 1024 * 1024

export function embeddedSettings(): Record<string, string> {
  const sharedBuffers = Math.min(512, Math.max(64, Math.floor(totalmem() / mebibyte / 8)))
  return {
    fsync: 'on',
    full_page_writes: 'on',
    // Hot leaves and their keys; beyond that the system's page cache does as well.
    shared_buffers: `${sharedBuffers}MB`,
    huge_pages: 'try',
    // A checkpoint makes every page whole in the log again: let them be rare.
    checkpoint_timeout: '15min',
    max_wal_size: '4GB',
    min_wal_size: '512MB',
    wal_buffers: '16MB',
    // Nobody reads the write-ahead log but recovery. (It is not compressed: these binaries have no
    // lz4.)
    wal_level: 'minimal',
    max_wal_senders: '0',
    max_connections: '64',
    // A statement may touch each day leaf of a bucket, and its two indexes.
    max_locks_per_transaction: '512',
    autovacuum_max_workers: '2',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
    // A repeated key is everyday here: it need not bring its statement along into the log file.
    log_min_error_statement: 'panic',
    log_checkpoints: 'off',
  }
}
