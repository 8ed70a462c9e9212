// Bugs that somebody might make, as changes to the program's own text, each with what must notice
// it.
// In:  nothing.
// Out: a name, the replacements, and the violations that count as noticing.
// Absent: running them (bugs.test.ts).

import type { ViolationKind } from './history.ts'
import type { Replacement } from './product.ts'

export interface Bug {
  name: string
  replacements: readonly Replacement[]
  noticedAs: readonly ViolationKind[]
}

function bug(
  name: string,
  noticedAs: readonly ViolationKind[],
  ...changes: readonly (readonly [file: string, from: string, to: string])[]
): Bug {
  return { name, noticedAs, replacements: changes.map(([file, from, to]) => ({ file, from, to })) }
}

const fenceBugs = [
  bug(
    'the fence compares no epoch',
    ['fence'],
    [
      'ledger/commit.ts',
      'AND c.next_offset = s.source AND c.epoch = s.epoch',
      'AND c.next_offset = s.source',
    ],
  ),
  bug(
    'the fence compares no offset',
    ['order', 'content'],
    [
      'ledger/commit.ts',
      'AND c.next_offset = s.source AND c.epoch = s.epoch',
      'AND c.epoch = s.epoch',
    ],
  ),
  bug(
    'a flush goes on when checkpoints were not where it expected them',
    ['content'],
    ['ledger/commit.ts', 'return results[2]?.count === steps.length', 'return results.length > 0'],
  ),
  bug(
    'a flush goes on when some of its checkpoints were moved',
    ['content'],
    [
      'ledger/commit.ts',
      'return results[2]?.count === steps.length',
      'return results[2]?.count !== 0',
    ],
  ),
  bug(
    'a claim raises no epoch',
    ['fence'],
    ['ledger/checkpoint.ts', 'SET epoch = epoch + 1, owner = $2', 'SET epoch = epoch, owner = $2'],
  ),
  bug(
    'a claim takes checkpoints of another log',
    ['fence'],
    ['ledger/checkpoint.ts', '  checkIdentity(connection, found, wanted.logIdentity)\n', ''],
  ),
  bug(
    'who is fenced takes his checkpoint for moved',
    ['told', 'content', 'stuck'],
    [
      'worker/held.ts',
      'if (epoch !== held.epoch || owner !== held.owner) {',
      'if (epoch < held.epoch) {',
    ],
  ),
]

const restoreBugs = [
  bug(
    'an epoch that was given again after a restore is taken for the one before',
    ['fence'],
    ['worker/held.ts', ' || owner !== held.owner', ''],
  ),
]

const checkpointBugs = [
  bug(
    'a checkpoint goes one past what was applied',
    ['order'],
    ['worker/applier.ts', 'ends.set(partition, offset + 1)', 'ends.set(partition, offset + 2)'],
  ),
  bug(
    'a checkpoint stays at the last record that was applied',
    ['order', 'content'],
    ['worker/applier.ts', 'ends.set(partition, offset + 1)', 'ends.set(partition, offset)'],
  ),
  bug(
    'a flush moves every partition to the offset of the last record',
    ['order', 'content'],
    [
      'worker/applier.ts',
      'ends.set(partition, offset + 1)',
      'for (const one of [partition, ...ends.keys()]) ends.set(one, offset + 1)',
    ],
  ),
  bug(
    'two partitions of a flush swap their offsets',
    ['order', 'content'],
    [
      'worker/applier.ts',
      'const steps = [...ends]\n',
      'const offsets = [...ends.values()].reverse()\n' +
        '    const swap = (one: number, i: number): [number, number] => [one, offsets[i] ?? 0]\n' +
        '    const steps = [...ends.keys()].map(swap)\n',
    ],
  ),
  bug(
    'rows are committed before the checkpoint, in a transaction of their own',
    ['content'],
    [
      'ledger/commit.ts',
      '    if (!(await moveCheckpoints(connection, flush.steps))) {',
      "    await connection.script('BEGIN')\n    await writeBuckets(connection, flush.buckets)\n" +
        "    await connection.execute('COMMIT')\n" +
        '    if (!(await moveCheckpoints(connection, flush.steps))) {',
    ],
  ),
  bug(
    'the checkpoint is committed before the rows',
    ['content'],
    [
      'ledger/commit.ts',
      "    crashPoint('before-copy')\n",
      "    await connection.execute('COMMIT')\n    await connection.execute('BEGIN')\n",
    ],
  ),
]

const outcomeBugs = [
  bug(
    'a COMMIT without an answer is taken for done',
    ['told', 'content', 'stuck'],
    [
      'ledger/commit.ts',
      "const { command } = await connection.execute('COMMIT')",
      "const { command } = await connection.execute('COMMIT').catch(() => ({ command: 'COMMIT' }))",
    ],
  ),
  bug(
    'a COMMIT without an answer is tried again, and found stale, taken for done',
    ['told', 'content', 'stuck'],
    [
      'worker/applier.ts',
      '      this.reconcile(outcome.checkpoints, asked)\n      return',
      '      this.held.advance(prepared.steps)\n' +
        '      this.queue.drop(prepared.slices, prepared.ringEnd)\n' +
        '      const positions = prepared.steps.flatMap((one) => [one.partition, one.to, 0])\n' +
        '      const nothing = { inserted: 0, duplicates: 0, conflicts: 0, held: 0, ' +
        'quarantined: 0 }\n' +
        "      this.options.post({ kind: 'progress', ringEnd: prepared.ringEnd, ...nothing,\n" +
        '        positions: Float64Array.from(positions), mergedBuckets: 0,\n' +
        '        rows: 0, seconds: 0 })\n' +
        '      void asked\n      return',
    ],
  ),
  bug(
    'a flush is forgotten before its outcome is known',
    ['content'],
    [
      'worker/applier.ts',
      '    this.inFlight = prepared.steps\n',
      '    this.inFlight = prepared.steps\n' +
        '    this.queue.drop(prepared.slices, prepared.ringEnd)\n',
    ],
    [
      'worker/applier.ts',
      '    this.held.advance(prepared.steps)\n' +
        '    this.queue.drop(prepared.slices, prepared.ringEnd)\n',
      '    this.held.advance(prepared.steps)\n',
    ],
  ),
  bug(
    'nobody looks at the checkpoints after a connection was lost',
    ['stuck', 'content'],
    [
      'worker/applier.ts',
      '      if (partitions.length > 0) {',
      '      if (partitions.length > 1000) {',
    ],
    [
      'worker/applier.ts',
      '      this.reconcile(outcome.checkpoints, asked)\n',
      '      void asked\n',
    ],
  ),
  bug(
    'an idle worker does not notice that its database lost commits',
    ['stuck'],
    ['worker/applier.ts', 'this.connection?.lost !== undefined\n    return', 'false\n    return'],
  ),
  bug(
    'a ring is free again before the flush is committed',
    ['content', 'bug'],
    [
      'worker/applier.ts',
      '    this.inFlight = prepared.steps\n',
      '    this.inFlight = prepared.steps\n' +
        "    this.options.post({ kind: 'released', ringEnd: prepared.ringEnd })\n",
    ],
  ),
]

const readingBugs = [
  bug(
    'a gap in the log is skipped',
    ['content'],
    [
      'worker/slot.ts',
      '        this.reading.delete(partition)\n        this.events.fault(this, partition, error)\n',
      '        const reading = this.reading.get(partition)\n' +
        '        const first = /begins at (\\d+)/.exec(error.message)?.[1]\n' +
        '        if (reading) reading.nextRead = Number(first)\n        this.reassign()\n',
    ],
  ),
  bug(
    'records that were read before going back are applied as if after it',
    ['content'],
    ['worker/held.ts', 'held.generation === generation && offset', 'offset'],
  ),
  bug(
    'what was applied is applied again when it comes again',
    ['order', 'content', 'bug', 'stuck'],
    ['worker/held.ts', ' && offset >= held.position', ''],
  ),
  bug(
    'records of an earlier assignment are handed over',
    ['content'],
    [
      'worker/slot.ts',
      'if (assigned === this.version) await this.handOver(records, assigned)',
      'await this.handOver(records, this.version)',
    ],
  ),
  bug(
    'a read that failed is not begun again where it was',
    ['content'],
    ['worker/slot.ts', '        assigned = -1\n        failures++', '        failures++'],
  ),
  bug(
    'a reader goes on while a record waits for room in the ring',
    ['content', 'contract', 'order', 'stuck'],
    [
      'worker/slot.ts',
      'if (assigned === this.version) await this.handOver(records, assigned)',
      'if (assigned === this.version) void this.handOver(records, assigned)',
    ],
  ),
  bug(
    'a new thread gets what was read for the one before',
    ['content', 'bug', 'stuck'],
    ['worker/slot.ts', '    this.reading.clear()\n    this.reassign()\n', ''],
  ),
  bug(
    'a halted partition is claimed again and again',
    ['stuck'],
    [
      'worker/orchestrator.ts',
      'for (const partition of partitions) this.halted.set(partition, reason)',
      '',
    ],
  ),
]

const contentBugs = [
  bug(
    'rows with a key that is there already are dropped',
    ['content'],
    [
      'ledger/commit.ts',
      "    await connection.execute('ROLLBACK TO bucket')\n    return false",
      "    await connection.execute('ROLLBACK TO bucket')\n    return true",
    ],
  ),
  bug(
    'conflicts are not recorded',
    ['content'],
    [
      'ledger/merge.ts',
      'inserted + held === rows ? 0 : await recordConflicts(connection, table)',
      '0 * table.length',
    ],
  ),
  bug(
    'of two amounts under one key any may stand',
    ['content'],
    [
      'ledger/merge.ts',
      'FROM pg_temp.incoming ORDER BY account_id, id, ctid',
      'FROM pg_temp.incoming ORDER BY account_id, id',
    ],
  ),
  bug(
    'records that cannot be decoded are skipped',
    ['content'],
    [
      'ledger/commit.ts',
      'for (const record of flush.quarantined) await quarantine(connection, record)',
      '',
    ],
  ),
  bug(
    'when a record was created is forgotten with the flush',
    ['content'],
    ['worker/held.ts', '      held.createdAt = createdAt ?? held.createdAt\n', ''],
  ),
]

const durabilityBugs = [
  bug(
    'a request is acknowledged when its records are sent',
    ['acknowledged'],
    [
      'ingress/append.ts',
      '    this.log.append(partition, bytes, time).then(',
      '    for (const waiter of waiters) waiter.gain(partition, 2 ** 40, time)\n' +
        '    this.log.append(partition, bytes, time).then(',
    ],
  ),
  bug(
    'a request is acknowledged with the first of its records',
    ['acknowledged'],
    [
      'ingress/waiter.ts',
      'if (this.outstanding > 0) return false',
      'if (this.outstanding < 0) return false',
    ],
  ),
  bug(
    'a record that was not confirmed counts as durable',
    ['acknowledged'],
    [
      'ingress/append.ts',
      'for (const waiter of waiters) if (waiter.lose(error)) this.requests -= 1',
      'void error\n        const far = 2 ** 40\n        for (const waiter of waiters) {\n' +
        '          if (waiter.gain(partition, far, time)) this.requests -= 1\n        }',
    ],
  ),
  bug(
    'a slab is used again while its records are under way',
    ['contract', 'acknowledged', 'bug'],
    [
      'ingress/append.ts',
      'if (slab.underWay === 0 && slab.openBytes === 0) slab.end',
      'if (slab.openBytes === 0) slab.end',
    ],
  ),
  bug(
    'the log may forget what PostgreSQL does not have on disk',
    ['released'],
    [
      'ledger/checkpoint.ts',
      "     SELECT pg_logical_emit_message(true, 'ledger', 'durable'); COMMIT`",
      '     COMMIT`',
    ],
  ),
]

export const bugs: readonly Bug[] = [
  ...fenceBugs,
  ...restoreBugs,
  ...checkpointBugs,
  ...outcomeBugs,
  ...readingBugs,
  ...contentBugs,
  ...durabilityBugs,
]
