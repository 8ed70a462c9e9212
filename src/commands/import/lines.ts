// The bytes of a file as groups of lines, each a batch to be.
// In:  chunks, cut anywhere.
// Out: groups of at most so many lines, with their bytes for the hash and the offset they end at.
// Absent: what a line means. Memory holds one group, whatever the file is.

import { importGroupBytesMax, importLineBytesMax } from '../../limits.ts'

export interface Line {
  /** Counted from 1. */
  number: number
  /** Without its end; of a line that is too long, the beginning. */
  text: string
  isTooLong: boolean
}

export interface LineGroup {
  lines: Line[]
  bytes: Buffer[]
  /** Its one line has no end, and might go on if the file does. */
  isOpen: boolean
  /** Offset in the file after the last of its bytes. */
  end: number
  /** Number of the line that follows. */
  nextLine: number
}

/** What is shown of a line that is too long. */
const shownBytesMax = 200

const lineFeed = 10
const carriageReturn = 13

/** @param start where the chunks begin in the file */
export async function* groupsOf(
  chunks: AsyncIterable<Buffer>,
  linesMax: number,
  start: { offset: number; line: number },
): AsyncGenerator<LineGroup> {
  const cutter = new Cutter(linesMax, start)
  for await (const chunk of chunks) yield* cutter.take(chunk)
  yield* cutter.finish()
}

/*
 * taken ≤ received. What lies between them is the line that has no end yet; it is in `rest`. Once
 * that is too long it is told and only skipped from there on.
 */
class Cutter {
  readonly #linesMax: number
  #group: LineGroup
  #groupBytes = 0
  #rest: Buffer = Buffer.alloc(0)
  #isSkipping = false

  constructor(linesMax: number, { offset, line }: { offset: number; line: number }) {
    this.#linesMax = linesMax
    this.#group = emptyGroup(offset, line)
  }

  *take(chunk: Buffer): Generator<LineGroup> {
    const buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    let kept = 0
    for (;;) {
      const feed = buffer.indexOf(lineFeed, at === 0 ? this.#rest.length : at)
      if (feed < 0) break
      if (this.#isSkipping) this.#isSkipping = false
      else this.#add(buffer, at, feed)
      this.#group.nextLine += 1
      at = feed + 1
      if (this.#isFull(at - kept)) {
        yield this.#emit(buffer.subarray(kept, at))
        kept = at
      }
    }
    if (buffer.length - at > importLineBytesMax && !this.#isSkipping) {
      this.#add(buffer, at, buffer.length)
      this.#isSkipping = true
    }
    if (this.#isSkipping) at = buffer.length
    this.#keep(buffer.subarray(kept, at))
    this.#rest = buffer.subarray(at)
    if (this.#isFull(0)) yield this.#emit(Buffer.alloc(0))
  }

  /** What is left: whole lines, then the last one if it has no end. */
  *finish(): Generator<LineGroup> {
    if (this.#group.bytes.length > 0) yield this.#emit(Buffer.alloc(0))
    if (this.#rest.length === 0) return
    this.#add(this.#rest, 0, this.#rest.length)
    yield { ...this.#emit(this.#rest), isOpen: true }
  }

  #add(buffer: Buffer, from: number, feed: number): void {
    const to = feed > from && buffer[feed - 1] === carriageReturn ? feed - 1 : feed
    const isTooLong = to - from > importLineBytesMax
    const text = buffer.toString('utf8', from, isTooLong ? from + shownBytesMax : to)
    this.#group.lines.push({ number: this.#group.nextLine, text, isTooLong })
  }

  #isFull(moreBytes: number): boolean {
    const { lines } = this.#group
    return lines.length >= this.#linesMax || this.#groupBytes + moreBytes >= importGroupBytesMax
  }

  #keep(bytes: Buffer): void {
    if (bytes.length > 0) this.#group.bytes.push(bytes)
    this.#groupBytes += bytes.length
    this.#group.end += bytes.length
  }

  #emit(bytes: Buffer): LineGroup {
    this.#keep(bytes)
    const group = this.#group
    this.#group = emptyGroup(group.end, group.nextLine)
    this.#groupBytes = 0
    return group
  }
}

function emptyGroup(end: number, nextLine: number): LineGroup {
  return { lines: [], bytes: [], isOpen: false, end, nextLine }
}
