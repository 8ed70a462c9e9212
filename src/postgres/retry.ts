// What an error of PostgreSQL, or of the way to it, asks for.
// In:  errors of pg and of sockets.
// Out: a LedgerError where waiting or an operator can help; the error itself where it is our bug.
// Absent: retrying (backoff.ts), what a violated constraint means (ledger/commit.ts).

import { LedgerError, messageOf, type ErrorCode } from '../errors.ts'

/** Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html */
const bySqlState: readonly (readonly [prefix: string, code: ErrorCode])[] = [
  ['08', 'DATABASE_UNAVAILABLE'], // connection exceptions
  ['25006', 'DATABASE_UNAVAILABLE'], // read only: a standby that is about to be promoted
  ['25P03', 'DATABASE_UNAVAILABLE'], // cut for idling in a transaction: this process was stopped
  ['25P04', 'DATABASE_UNAVAILABLE'], // cut for a transaction that took too long
  ['28', 'DATABASE_REFUSED'], // password, pg_hba.conf
  ['3D000', 'DATABASE_REFUSED'], // no such database
  ['40', 'DATABASE_UNAVAILABLE'], // deadlock, serialization failure, unknown outcome
  ['42501', 'DATABASE_REFUSED'], // privileges
  ['53', 'DATABASE_UNAVAILABLE'], // disk full, out of memory, too many connections
  ['55P03', 'DATABASE_UNAVAILABLE'], // lock_timeout
  ['57P04', 'DATABASE_REFUSED'], // database dropped
  ['57', 'DATABASE_UNAVAILABLE'], // shutdown, crash of another session, cancelled statement
  ['58', 'DATABASE_UNAVAILABLE'], // errors of the server's operating system
]

/** Faults of a connection that no waiting cures. */
const refusals = [
  /^SASL/, // no password given, or the server is not the one that knows it
  /does not support SSL/,
  /^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|CERT_|ERR_TLS_CERT)/,
]

const socketFaults =
  /^(ECONN|EPIPE|ENOTFOUND|EAI_|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|ENOENT)/

const driverFaults =
  /timeout expired|Connection terminated|connection error and is not queryable|was closed/

/** SQLSTATE of an error that PostgreSQL reported; '' for any other. */
export function sqlState(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && hasSeverity(error) ? code : ''
}

/**
 * The error to throw for what pg or a socket threw. `where` names the server without its password,
 * and begins the message. What is left as it is, such as a syntax error, is a bug of ours.
 */
export function databaseError(error: unknown, where: string): unknown {
  if (error instanceof LedgerError) return error
  const code = codeOf(error)
  if (code === undefined) return error
  const state = sqlState(error)
  const suffix = state === '' ? '' : ` (SQLSTATE ${state})`
  return new LedgerError(code, `${where}: ${causeOf(error)}${suffix}`, { cause: error })
}

function codeOf(error: unknown): ErrorCode | undefined {
  const state = sqlState(error)
  if (state !== '') return bySqlState.find(([prefix]) => state.startsWith(prefix))?.[1]
  if (!(error instanceof Error)) return undefined
  const fault = (error as NodeJS.ErrnoException).code ?? ''
  if (refusals.some((pattern) => pattern.test(fault) || pattern.test(error.message))) {
    return 'DATABASE_REFUSED'
  }
  if (socketFaults.test(fault) || driverFaults.test(error.message)) return 'DATABASE_UNAVAILABLE'
  return undefined
}

/** Node reports a name with several addresses as an AggregateError without a message of its own. */
function causeOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}

function hasSeverity(error: unknown): boolean {
  return typeof (error as { severity?: unknown }).severity === 'string'
}
