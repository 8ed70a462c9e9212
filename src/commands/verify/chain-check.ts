// Follows the chain of one partition: computes each link again from what the tables hold.
// In:  links in order; rows, conflicts and quarantined records, window by window.
// Out: findings; how far links were confirmed.
// Absent: SQL beyond reading links and quarantined records; the log.

import type { Group, TupleGroups } from '../../ledger/chain/tuples.ts'
import { Content, linkHash, noHash, type Link } from '../../ledger/chain/digest.ts'
import { quarantinedItems, readLinks, type QuarantinedItem } from '../../ledger/chain/links.ts'
import type { PartitionHead } from '../../ledger/chain/settled.ts'
import type { Moment } from '../../ledger/moment.ts'
import type { Offset } from '../../log/log.ts'
import type { Connection } from '../../postgres/connection.ts'
import type { Finding } from './findings.ts'
import { timeText } from './texts.ts'

const linksAtOnce = 256

/** The last link that was looked at, as it is remembered. */
export interface ChainPosition {
  link: string
  /** Null for -Infinity, which JSON does not have. */
  createdAt: Moment | null
  offset: Offset
  hash: string
}

/** Reads links ahead for those chains that have none. */
export async function fillChains(
  connection: Connection,
  chains: readonly ChainCheck[],
): Promise<void> {
  const after = new Map<number, bigint>()
  for (const { partition, wants } of chains) if (wants !== undefined) after.set(partition, wants)
  if (after.size === 0) return
  const links = await readLinks(connection, after, linksAtOnce)
  const filled = chains.filter(({ partition }) => after.has(partition))
  const spans = filled.map((chain) => {
    return [chain.partition, chain.take(links.get(chain.partition) ?? [])] as const
  })
  const items = await quarantinedItems(connection, new Map(spans))
  for (const chain of filled) chain.takeQuarantined(items.get(chain.partition) ?? [])
}

export class ChainCheck {
  readonly partition: number
  links = 0
  rows = 0
  #last: { link: bigint; createdAt: Moment; offset: Offset; hash: Buffer }
  readonly #head: PartitionHead
  #ahead: Link[] = []
  /** Quarantined records that these links cover. */
  #items: QuarantinedItem[] = []
  #isComplete = false
  #content = new Content()
  /** Up to when groups have been hashed. */
  #hashed: Moment

  constructor(head: PartitionHead, position: ChainPosition | undefined) {
    this.partition = head.partition
    this.#head = head
    this.#last = position
      ? {
          link: BigInt(position.link),
          createdAt: position.createdAt ?? -Infinity,
          offset: position.offset,
          hash: Buffer.from(position.hash, 'hex'),
        }
      : { link: 0n, createdAt: -Infinity, offset: 0, hash: noHash }
    this.#hashed = this.#last.createdAt
  }

  get position(): ChainPosition {
    const { link, createdAt, offset, hash } = this.#last
    const at = createdAt === -Infinity ? null : createdAt
    return { link: String(link), createdAt: at, offset, hash: hash.toString('hex') }
  }

  /** What is younger is in no link. Known once `fill` has found no more. */
  get end(): Moment {
    return this.#last.createdAt
  }

  get offset(): Offset {
    return this.#last.offset
  }

  get isComplete(): boolean {
    return this.#isComplete && this.#ahead.length === 0
  }

  /** Whether there may be links up to then that have not been looked at. */
  isDueAt(moment: Moment): boolean {
    const [next] = this.#ahead
    return this.#ahead.length > 0 ? next.toCreatedAt <= moment : !this.#isComplete
  }

  /** After which link some are wanted. */
  get wants(): bigint | undefined {
    return this.#ahead.length === 0 && !this.#isComplete ? this.#last.link : undefined
  }

  /** Up to when links are known; Infinity where these are all. */
  get knownTo(): Moment {
    return this.#isComplete ? Infinity : (this.#ahead.at(-1)?.toCreatedAt ?? Infinity)
  }

  /** Takes those that were wanted; returns between which offsets they cover quarantined records. */
  take(links: readonly Link[]): { from: Offset; to: Offset } {
    // Links over what came since the checkpoint was read are for another time.
    const { createdAt, nextOffset } = this.#head
    const beyond = links.findIndex((one) => {
      return one.toCreatedAt > createdAt || one.toOffset > nextOffset
    })
    this.#ahead = beyond < 0 ? [...links] : links.slice(0, beyond)
    this.#isComplete = links.length < linksAtOnce || beyond >= 0
    return { from: this.#last.offset, to: this.#ahead.at(-1)?.toOffset ?? this.#last.offset }
  }

  takeQuarantined(items: readonly QuarantinedItem[]): void {
    this.#items = [...items]
  }

  /** Takes all groups created up to `ceiling` after those it had. */
  window(rows: TupleGroups, conflicts: TupleGroups, ceiling: Moment, findings: Finding[]): void {
    while (this.#ahead.length > 0 && this.#ahead[0].toCreatedAt <= ceiling) {
      const link = this.#ahead[0]
      this.#hash(rows, conflicts, link.toCreatedAt)
      while (this.#items.length > 0 && this.#items[0].offset < link.toOffset) {
        this.#content.addQuarantined(this.#items[0].item)
        this.#items.shift()
      }
      this.#judge(link, findings)
      this.#ahead.shift()
    }
    if (this.#ahead.length > 0) this.#hash(rows, conflicts, ceiling)
  }

  #hash(rows: TupleGroups, conflicts: TupleGroups, to: Moment): void {
    const isDue = ({ createdAt }: Group): boolean => createdAt > this.#hashed && createdAt <= to
    for (const group of rows.groups.filter(isDue)) this.#content.addRows(rows.tuples, group)
    for (const group of conflicts.groups.filter(isDue)) {
      this.#content.addConflicts(conflicts.tuples, group)
    }
    this.#hashed = Math.max(this.#hashed, to)
  }

  #judge(link: Link, findings: Finding[]): void {
    const content = this.#content
    this.#content = new Content()
    this.links++
    this.rows += content.rows
    const last = this.#last
    const { link: number, toCreatedAt: createdAt, toOffset: offset, hash } = link
    this.#last = { link: number, createdAt, offset, hash }
    const name = `partition ${this.partition}, link ${number}`
    if (number !== last.link + 1n) {
      const expected = `link ${last.link + 1n} after link ${last.link}`
      findings.push({ check: 'chain', where: name, expected, found: `link ${number}` })
    }
    const isOrdered = createdAt >= last.createdAt && offset >= last.offset
    const expectedHash = linkHash(last.hash, link)
    if (!isOrdered || !expectedHash.equals(hash)) {
      const expected = `hash ${expectedHash.toString('hex')}, from its fields and the link before`
      const found = hash.toString('hex')
      findings.push({ check: 'chain', where: name, expected, found })
    }
    const digest = content.digest()
    if (digest.equals(link.content)) return
    const span = `created after ${timeText(last.createdAt)} up to ${timeText(createdAt)}`
    const where = `${name}, ${span}, offsets ${last.offset} to before ${offset}`
    const expected = contentText(link, link.content)
    findings.push({ check: 'chain content', where, expected, found: contentText(content, digest) })
  }
}

type Counts = Pick<Link, 'rows' | 'sum' | 'conflicts' | 'quarantined'>

function contentText({ rows, sum, conflicts, quarantined }: Counts, digest: Buffer): string {
  const hash = digest.toString('hex')
  const counts = `${rows} rows of ${sum}, ${conflicts} conflicts, ${quarantined} quarantined`
  return `${counts}, SHA-256 ${hash}`
}
