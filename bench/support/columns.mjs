// What is shown of a measured run in a row of a table.
// In:  a result of measure(), and the limit where it is known.
// Out: text for each column.
// Absent: layout.

import {
  bytesEach,
  count,
  mebibytes,
  microseconds,
  milliseconds,
  perSecond,
  ratio,
  seconds,
} from './format.mjs'

const latency = (of, share) => (run) => milliseconds(run.latencies?.[of][share])
const cpu = (of) => (run) => microseconds(run.cpu?.[of])
const disk = (of) => (run) => bytesEach(run.disk?.[of])

/** A group is what several columns are parts of. */
export const columns = [
  { name: 'accepted', show: ({ window }) => perSecond(window?.acceptedPerSecond) },
  { name: 'persisted', show: ({ window }) => perSecond(window?.persistedPerSecond) },
  { name: 'of limit', show: ({ window }, limit) => ofLimit(window, limit) },
  { name: 'lag, first', show: ({ window }) => count(window?.lagAtStart) },
  { name: 'lag, last', show: ({ window }) => count(window?.lagAtEnd) },
  { name: 'drain', show: ({ drainSeconds }) => seconds(drainSeconds) },
  { group: 'ack', name: 'p50', show: latency('acknowledged', 'p50') },
  { group: 'ack', name: 'p99', show: latency('acknowledged', 'p99') },
  { group: 'ack', name: 'p99.9', show: latency('acknowledged', 'p999') },
  { group: 'visible', name: 'p50', show: latency('visible', 'p50') },
  { group: 'visible', name: 'p99', show: latency('visible', 'p99') },
  { group: 'visible', name: 'p99.9', show: latency('visible', 'p999') },
  { group: 'CPU', name: 'program', show: cpu('program') },
  { group: 'CPU', name: 'PostgreSQL', show: cpu('postgres') },
  { group: 'CPU', name: 'broker', show: cpu('broker') },
  { group: 'CPU', name: 'load', show: cpu('load') },
  { group: 'memory', name: 'program', show: ({ memory }) => mebibytes(memory?.program) },
  { group: 'memory', name: 'PostgreSQL', show: ({ memory }) => mebibytes(memory?.postgres) },
  { group: 'disk', name: 'table', show: disk('tables') },
  { group: 'disk', name: 'index', show: disk('indexes') },
  { group: 'disk', name: 'WAL', show: disk('wal') },
  { group: 'disk', name: 'log', show: disk('log') },
  { name: 'verified', show: verdict },
]

function ofLimit(window, limit) {
  const { persistedPerSecond } = window ?? {}
  return ratio(limit && persistedPerSecond && persistedPerSecond / limit)
}

function verdict({ verification, failure }) {
  if (failure) return 'failed'
  if (verification === undefined) return count(undefined)
  return verification.ok ? `${count(verification.rows)} rows` : 'NOT AS ACKNOWLEDGED'
}
