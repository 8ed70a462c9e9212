// What can go wrong between a program and its ledger, by what to do about it.
// In:  answers that are no success, failures on the way.
// Out: errors that carry the problem document where there is one.
// Absent: retrying (transport.ts).

import type { Problem } from './gen/contract.ts'

export interface LedgerErrorOptions extends ErrorOptions {
  status?: number | undefined
  problem?: Problem | undefined
}

/** Anything this client throws of its own; an abort throws the reason of its signal instead. */
export class LedgerError extends Error {
  /** HTTP status of the last answer; undefined where there was none. */
  readonly status: number | undefined
  /** RFC 9457: names the item, the field, what was expected and what was found. */
  readonly problem: Problem | undefined

  constructor(message: string, { status, problem, ...options }: LedgerErrorOptions = {}) {
    super(message, options)
    this.name = new.target.name
    this.status = status
    this.problem = problem
  }
}

/** The ledger refused the request, and would again. Nothing of it was taken. */
export class RefusedError extends LedgerError {}

/**
 * No success within the time for retries. Of a batch, each item may or may not have been taken:
 * sending the same items with the same ids is always safe.
 */
export class UnavailableError extends LedgerError {}

/** The answer is not one of the contract; something else than this ledger may have given it. */
export class ContractError extends LedgerError {}

/** A transaction that no ledger would take; nothing was sent. */
export class InvalidTransactionError extends LedgerError {
  readonly field: string
  readonly expected: string
  readonly found: string

  constructor(field: string, expected: string, found: string) {
    super(`${field}: expected ${expected}, found ${found}.`)
    this.field = field
    this.expected = expected
    this.found = found
  }
}

/** The problem document of an answer; undefined when its body is none. */
export function problemIn(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null
    const isProblem = typeof value === 'object' && typeof value?.detail === 'string'
    return isProblem ? (value as Problem) : undefined
  } catch {
    return undefined
  }
}
