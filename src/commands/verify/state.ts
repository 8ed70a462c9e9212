// What a verification remembers, so that it can go on.
// In:  how far it is.
// Out: a file; the earlier state, checked.
// Absent: what is checked.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { LedgerError, messageOf } from '../../errors.ts'
import type { BucketCounts, BucketProgress } from './bucket.ts'
import type { Head } from './heads.ts'

export interface VerifyState {
  version: 1
  /** When the tables of each database were made: those of another ledger are other ones. */
  ledger: string[]
  /** Names of the steps that are done. */
  done: string[]
  /** Of the bucket that is under way. */
  bucket: ({ name: string } & BucketProgress) | undefined
  counts: BucketCounts
  /** Of chains that were followed. */
  heads: Head[]
  /** What was found, and how often each kind of it. */
  told: string[]
  findings: Record<string, number>
}

export function freshState(ledger: string[]): VerifyState {
  const counts = { rows: 0, conflicts: 0, unproven: 0, logEntries: 0 }
  return {
    version: 1,
    ledger,
    done: [],
    bucket: undefined,
    counts,
    heads: [],
    told: [],
    findings: {},
  }
}

/** Fresh where there is none. @throws LedgerError CONFIG_INVALID */
export function readState(file: string | undefined, ledger: string[]): VerifyState {
  if (file === undefined || !existsSync(file)) return freshState(ledger)
  let state: VerifyState
  try {
    state = JSON.parse(readFileSync(file, 'utf8')) as VerifyState
  } catch (error) {
    const message = `--state ${file}: ${messageOf(error)}`
    throw new LedgerError('CONFIG_INVALID', message, { cause: error })
  }
  if (state.version === 1 && String(state.ledger) === String(ledger)) return state
  const message = `--state ${file}: expected the state of verifying this ledger, found another.`
  throw new LedgerError('CONFIG_INVALID', `${message} Remove it to begin anew.`)
}

export function writeState(file: string | undefined, state: VerifyState): void {
  if (file === undefined) return
  writeFileSync(`${file}.new`, `${JSON.stringify(state)}\n`)
  renameSync(`${file}.new`, file)
}

export function removeState(file: string | undefined): void {
  if (file !== undefined) rmSync(file, { force: true })
}
