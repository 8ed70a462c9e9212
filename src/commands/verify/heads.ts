// Heads of the chains in a file: kept elsewhere, they prove that no link was made anew.
// In:  databases; files.
// Out: files; findings where a chain has not what a file says.
// Absent: whether links are what the tables hold (chain-check.ts).

import { readFileSync, writeFileSync } from 'node:fs'
import { LedgerError, messageOf } from '../../errors.ts'
import { readLinks } from '../../ledger/chain/links.ts'
import type { Connection } from '../../postgres/connection.ts'
import type { BucketPosition } from './bucket.ts'
import type { Finding } from './findings.ts'
import { timeText } from './texts.ts'

/** The last link of a chain. */
export interface Head {
  partition: number
  link: string
  toOffset: number
  /** RFC 3339; for people. */
  toCreatedAt: string
  hash: string
}

interface HeadsFile {
  version: 1
  madeAt: string
  heads: Head[]
}

/** Of chains that were followed to there; nothing of those without a link. */
export function headsAt(position: BucketPosition): Head[] {
  const followed = Object.entries(position).filter(([, { link }]) => link !== '0')
  return followed.map(([partition, { link, offset, createdAt, hash }]) => ({
    partition: Number(partition),
    link,
    toOffset: offset,
    toCreatedAt: timeText(createdAt ?? -Infinity),
    hash,
  }))
}

export function writeHeads(file: string, heads: readonly Head[]): void {
  const sorted = heads.toSorted((a, b) => a.partition - b.partition)
  const content = { version: 1, madeAt: new Date().toISOString(), heads: sorted }
  writeFileSync(file, `${JSON.stringify(content, null, 1)}\n`)
}

/** @throws LedgerError CONFIG_INVALID */
export function readHeadsFile(file: string): HeadsFile {
  try {
    const content = JSON.parse(readFileSync(file, 'utf8')) as HeadsFile
    const isHead = ({ partition, link, hash }: Head): boolean =>
      Number.isInteger(partition) && /^\d+$/.test(link) && /^[0-9a-f]{64}$/.test(hash)
    if (content.version === 1 && Array.isArray(content.heads) && content.heads.every(isHead)) {
      return content
    }
  } catch (error) {
    const message = `--against ${file}: ${messageOf(error)}`
    throw new LedgerError('CONFIG_INVALID', message, { cause: error })
  }
  const message = `--against ${file}: expected heads written by --heads, found something else.`
  throw new LedgerError('CONFIG_INVALID', message)
}

/** Of those partitions that are in this database. */
export async function againstFindings(
  connection: Connection,
  file: string,
  { heads, madeAt }: HeadsFile,
  isHere: (partition: number) => boolean,
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { partition, link, hash } of heads.filter((head) => isHere(head.partition))) {
    const links = await readLinks(connection, new Map([[partition, BigInt(link) - 1n]]), 1)
    const found = links.get(partition)?.at(0)
    const own = found?.link === BigInt(link) ? found.hash.toString('hex') : 'none'
    if (own === hash) continue
    const where = `partition ${partition}, link ${link}, as ${file} of ${madeAt} has it`
    findings.push({ check: 'chain head', where, expected: `hash ${hash}`, found: own })
  }
  return findings
}
