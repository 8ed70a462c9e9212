// What an import remembers beside its file, and what it wrote to its error file.
// In:  how far every line has been taken.
// Out: two files; the earlier state, checked.
// Absent: reading the data.

/*
 * The state follows the ledger: it covers only lines that were acknowledged or told as faults, and
 * is written aside and renamed. Killed at any instant, an import goes on from a state that is a
 * little too old, and sends some lines again with the same ids.
 */

import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, renameSync } from 'node:fs'
import { writeFileSync, writeSync } from 'node:fs'
import { LedgerError, messageOf } from '../../errors.ts'
import type { Fault, Columns } from './rows.ts'
import type { Line } from './lines.ts'

export interface ImportState {
  version: 1
  /** Bytes at the beginning of the file that need no more sending. */
  offset: number
  /** SHA-256 of those bytes. */
  sha256: string
  nextLine: number
  /** Of a CSV file. */
  columns: Columns | null
  /** For lines without an id; null while none was met. */
  idNamespace: string | null
  taken: number
  refused: number
  errorBytes: number
}

/**
 * Undefined when there is none.
 *
 * @throws LedgerError CONFIG_INVALID
 */
export function readState(file: string): ImportState | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new LedgerError('CONFIG_INVALID', `${file}: ${messageOf(error)}`, { cause: error })
  }
  try {
    const state = JSON.parse(text) as ImportState
    if (state.version === 1 && Number.isSafeInteger(state.offset)) return state
  } catch {
    // Told below.
  }
  const message = `${file}: expected the state of an import, found something else.`
  throw new LedgerError('CONFIG_INVALID', `${message} --restart begins anew.`)
}

export function writeState(file: string, state: ImportState): void {
  const aside = `${file}.new`
  const handle = openSync(aside, 'w')
  try {
    writeFileSync(handle, `${JSON.stringify(state, null, 2)}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(aside, file)
}

/** One JSON object a line: its number, its text, what was expected and what was found. */
export class ErrorFile {
  readonly path: string
  #handle: number | undefined
  #bytes: number

  /** @param bytes of it that the state covers; what follows is told again */
  constructor(path: string, bytes: number) {
    this.path = path
    this.#bytes = bytes
    if (bytes > 0) this.#open()
    else writeFileIfThere(path)
  }

  get bytes(): number {
    return this.#bytes
  }

  add(line: Line, fault: Fault): void {
    const text = `${JSON.stringify({ line: line.number, ...fault, text: line.text })}\n`
    this.#bytes += writeSync(this.#open(), text, this.#bytes)
  }

  sync(): void {
    if (this.#handle !== undefined) fsyncSync(this.#handle)
  }

  close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle)
  }

  #open(): number {
    if (this.#handle === undefined) {
      this.#handle = openSync(this.path, this.#bytes > 0 ? 'r+' : 'w')
      ftruncateSync(this.#handle, this.#bytes)
    }
    return this.#handle
  }
}

/** An import without faults leaves no error file, but none of an earlier one either. */
function writeFileIfThere(path: string): void {
  try {
    const handle = openSync(path, 'r+')
    ftruncateSync(handle)
    closeSync(handle)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
