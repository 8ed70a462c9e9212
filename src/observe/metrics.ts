// Every metric the program exposes, in one place, under the names operators see.
// In:  increments from the rooms.
// Out: Prometheus text.
// Absent: HTTP (health.ts serves it), decisions taken from a metric.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

export const registry = new Registry()

/** Adds process metrics (CPU, memory, event loop lag, garbage collection). Called once, by main. */
export function collectProcessMetrics(): void {
  collectDefaultMetrics({ register: registry })
}

function counter(name: string, help: string): Counter {
  return new Counter({ name: `ledger_${name}`, help, registers: [registry] })
}

function gauge(name: string, help: string, labelNames: string[] = []): Gauge {
  return new Gauge({ name: `ledger_${name}`, help, labelNames, registers: [registry] })
}

export const metrics = {
  accepted: counter(
    'accepted_transactions_total',
    'Transactions acknowledged as durable in the log.',
  ),
  requests: new Counter({
    name: 'ledger_http_requests_total',
    help: 'HTTP requests answered, by route and status.',
    labelNames: ['route', 'status'] as const,
    registers: [registry],
  }),
  acknowledgeSeconds: new Histogram({
    name: 'ledger_acknowledge_seconds',
    help: 'From the last byte of a batch to its acknowledgement.',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
    registers: [registry],
  }),
  streams: gauge('http_streams', 'Replies that are being made while they are sent.'),
  inflightBytes: gauge(
    'ingress_inflight_bytes',
    'Body and slab bytes of requests not answered yet.',
  ),
  settleWaiters: gauge('receipt_waiters', 'Requests that wait for their items to be persisted.'),
  progressReads: counter(
    'progress_reads_total',
    'Looks at how far a database is persisted, for all who wait at once.',
  ),
  appendedRecords: counter('appended_records_total', 'Records made durable in the log.'),
  appendedBytes: counter('appended_bytes_total', 'Bytes of records made durable in the log.'),
  persisted: counter('persisted_transactions_total', 'Rows inserted into ledger.transactions.'),
  duplicates: counter(
    'duplicate_transactions_total',
    'Transactions already in the ledger with the same amount.',
  ),
  conflicts: counter('conflicts_total', 'Transactions already in the ledger with another amount.'),
  held: counter(
    'held_entries_total',
    'Transactions with an id of an archived day, kept in ledger.held_entries.',
  ),
  quarantined: counter('quarantined_records_total', 'Log records kept in ledger.quarantine.'),
  flushes: counter('flushes_total', 'Flushes committed.'),
  mergedBuckets: counter('merged_buckets_total', 'Buckets that took the merge path in a flush.'),
  fenced: counter(
    'fenced_partitions_total',
    'Partitions given up because another process claimed them.',
  ),
  flushRows: new Histogram({
    name: 'ledger_flush_rows',
    help: 'Rows in a flush.',
    buckets: [1, 10, 100, 1_000, 5_000, 20_000, 50_000, 100_000, 250_000],
    registers: [registry],
  }),
  flushSeconds: new Histogram({
    name: 'ledger_flush_seconds',
    help: 'From BEGIN to the answer of COMMIT.',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
    registers: [registry],
  }),
  haltedPartitions: gauge(
    'halted_partitions',
    'Partitions of this process that cannot go on until an operator acts.',
  ),
  openLeaves: gauge(
    'open_leaves',
    'Leaves that are being filled without a key, which a worker remembers meanwhile.',
    ['worker'],
  ),
  failedSeals: counter(
    'failed_seals_total',
    'Attempts to build the key of a full leaf that failed, and are repeated.',
  ),
  ringBytes: gauge('worker_ring_bytes', "Bytes waiting in a worker's ring.", ['worker']),
  workerRestarts: counter('worker_restarts_total', 'Worker threads replaced after they died.'),
  lagRecords: gauge('lag_records', 'Records in the log that are not committed to PostgreSQL.', [
    'partition',
  ]),
  lagSeconds: gauge('lag_seconds', 'Age of the oldest record not committed to PostgreSQL.', [
    'partition',
  ]),
  chainLag: gauge(
    'chain_lag_seconds',
    'Since when something that is committed may not be in the hash chains yet.',
  ),
  readServerUp: gauge('read_server_up', 'Whether a server that reads go to answers.', ['server']),
  readServerLag: gauge('read_server_lag_seconds', 'How far a replica is behind its primary.', [
    'server',
  ]),
  changesReaders: gauge('changes_readers', 'Clients that follow GET /v1/changes.'),
  changesRows: counter('changes_rows_total', 'Transactions sent to them.'),
  readFailovers: counter('read_failovers_total', 'Reads sent to a second server.'),
}
