// The compare-and-set of a flush, read as SQL: which columns it compares and which it sets.
// In:  the parts of `UPDATE … SET … FROM unnest(…) AS s (…) WHERE …`.
// Out: how many checkpoints were moved.
// Absent: any assumption on what a fence ought to compare.

import { postgresError } from './errors.ts'
import type { CheckpointRow } from './tables.ts'
import type { Transaction } from './transaction.ts'

interface Parts {
  assignments: string
  /** Array literals, one for each of `names`. */
  arrays: string
  names: string
  conditions: string
}

interface Condition {
  column: keyof CheckpointRow
  /** Name in the list that unnest gives. */
  source: string
}

const columnOf: Readonly<Record<string, keyof CheckpointRow | undefined>> = {
  partition: 'partition',
  next_offset: 'nextOffset',
  epoch: 'epoch',
  owner: 'owner',
}

type Step = Readonly<Record<string, string>>

export function moveCheckpoints(transaction: Transaction, parts: Parts): number {
  const conditions = parts.conditions.split(' AND ').map(readCondition)
  const target = /(?:^|, )next_offset = s\.(\w+)/.exec(parts.assignments)?.[1]
  const created = /last_created_at = coalesce\(.*?s\.(\w+)/.exec(parts.assignments)?.[1]
  if (target === undefined || created === undefined) throw unknown(parts.assignments)
  let moved = 0
  for (const step of readSteps(parts)) {
    const partition = Number(step['partition'])
    const matches = (): boolean => {
      const row = transaction.checkpoint(partition)
      return row !== undefined && conditions.every((one) => compare(row, one, step))
    }
    // As PostgreSQL does: what does not match is not locked, what does is looked at again then.
    if (!matches()) continue
    transaction.lock(`checkpoint ${partition}`)
    const row = transaction.checkpoint(partition) as CheckpointRow
    const time = step[created]
    const createdAt = time === undefined || time === 'NULL' ? row.createdAt : Number(time)
    const after = { ...row, nextOffset: Number(step[target]), createdAt }
    transaction.changes.push({ table: 'checkpoints', cause: 'move', row: after })
    moved++
  }
  return moved
}

function readCondition(text: string): Condition {
  const match = /^c\.(\w+) = s\.(\w+)$/.exec(text)
  const column = columnOf[match?.[1] ?? '']
  if (match === null || column === undefined) throw unknown(text)
  return { column, source: match[2] }
}

function readSteps({ arrays, names }: Parts): Step[] {
  const columns = names.split(', ')
  const values = [...arrays.matchAll(/'\{(.*?)\}'::\w+\[\]/g)].map(([, list]) => list?.split(','))
  if (values.length !== columns.length) throw unknown(arrays)
  return (values[0] ?? []).map((_, index) =>
    Object.fromEntries(columns.map((name, column) => [name, values[column]?.[index] ?? 'NULL'])),
  )
}

function compare(row: CheckpointRow, { column, source }: Condition, step: Step): boolean {
  return String(row[column]) === step[source]
}

function unknown(text: string): Error {
  return postgresError('42601', `The simulated PostgreSQL does not know: ${text}`)
}
