// How accounts are divided over buckets, and buckets over databases.
// In:  a layout, chosen when the ledger is created.
// Out: which bucket is where, and the SQL that creates a database's buckets.
// Absent: hashing an account (record/partition.ts), day leaves (leaves.ts).

import assert from 'node:assert/strict'
import { LedgerError } from '../errors.ts'
import { partitionCount } from '../record/layout.ts'

export interface Layout {
  /** Hash partitions of ledger.transactions over all databases; a power of two up to 128. */
  buckets: number
  /** Databases that share them. */
  databases: number
  /** Which of them this one is, from 0. */
  databaseIndex: number
}

/** Rejects what no ledger can have, naming the flags. */
export function checkLayout({ buckets, databases }: Layout): void {
  const isPowerOfTwo = buckets >= 1 && Number.isInteger(Math.log2(buckets))
  if (!isPowerOfTwo || buckets > partitionCount) {
    throw new LedgerError(
      'CONFIG_INVALID',
      `--buckets: expected a power of two up to ${partitionCount}, found ${buckets}.`,
    )
  }
  if (databases < 1 || databases > buckets) {
    throw new LedgerError(
      'CONFIG_INVALID',
      `--database-url: expected 1 to ${buckets} databases, one bucket each at least, ` +
        `found ${databases}.`,
    )
  }
}

/** Answers with the one Layout a database was created with. */
export const layoutSql =
  'SELECT buckets, databases, database_index AS "databaseIndex" FROM ledger.layout'

/** Rejects a database that is another part of a ledger, or of another one, than we were told. */
export function expectLayout(where: string, expected: Layout, found: Layout): void {
  const sentence = (layout: Layout) =>
    `${layout.buckets} buckets, database ${layout.databaseIndex} of ${layout.databases}`
  if (sentence(found) === sentence(expected)) return
  throw new LedgerError(
    'LAYOUT_MISMATCH',
    `${where}: expected ${sentence(expected)} (as --buckets and the order of ` +
      `--database-url say), found ${sentence(found)}. The layout is fixed at creation.`,
  )
}

/** The database that holds a bucket. */
export function databaseOf(bucket: number, { buckets, databases }: Omit<Layout, 'databaseIndex'>) {
  return Math.floor((bucket * databases) / buckets)
}

/** The buckets that a database holds, ascending. */
export function bucketsOf(layout: Layout): number[] {
  const all = Array.from({ length: layout.buckets }, (_, bucket) => bucket)
  return all.filter((bucket) => databaseOf(bucket, layout) === layout.databaseIndex)
}

/** Table of a bucket, qualified. */
export function bucketTable(bucket: number): string {
  assert(Number.isSafeInteger(bucket) && bucket >= 0 && bucket < partitionCount)
  return `ledger.transactions_b${String(bucket).padStart(2, '0')}`
}

/** The leaf for ids that belong to no day that has a leaf. */
export function defaultLeafTable(bucket: number): string {
  return `${bucketTable(bucket)}_default`
}

/**
 * SQL that gives a leaf what every leaf has but those that are open (open-leaves.ts): its key, and
 * a way to find entries by id alone, or by when they were created, at almost no cost to the writer.
 * Safe to repeat.
 */
export function leafIndexesSql(leaf: string): string {
  const name = leaf.replace(/^ledger\./, '')
  return `
CREATE UNIQUE INDEX IF NOT EXISTS ${name}_key ON ${leaf} (account_id, id);
CREATE INDEX IF NOT EXISTS ${name}_id ON ${leaf} USING brin (id, created_at);`
}

/**
 * SQL that creates the buckets of one database. PostgreSQL refuses rows of the others by itself.
 */
export function createBucketsSql(layout: Layout): string {
  return bucketsOf(layout)
    .map(
      (bucket) => `
CREATE TABLE ${bucketTable(bucket)} PARTITION OF ledger.transactions
  FOR VALUES WITH (MODULUS ${layout.buckets}, REMAINDER ${bucket}) PARTITION BY RANGE (id);
CREATE TABLE ${defaultLeafTable(bucket)} PARTITION OF ${bucketTable(bucket)} DEFAULT;
${leafIndexesSql(defaultLeafTable(bucket))}`,
    )
    .join('\n')
}
