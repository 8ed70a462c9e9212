// Trying again for ever, without hurry and without stampede.
// In:  an operation whose errors ask for a retry (errors.ts).
// Out: its result.
// Absent: deciding which errors those are.

import { setTimeout as sleep } from 'node:timers/promises'
import { LedgerError, reactionTo } from '../errors.ts'

export interface BackoffOptions {
  /** Ends the waiting with STOPPING. */
  signal: AbortSignal
  /** Told of each failure that will be retried, and how long until then. */
  onRetry: (error: LedgerError, milliseconds: number) => void
  firstMilliseconds?: number
  mostMilliseconds?: number
}

/**
 * Runs the operation until it succeeds or fails for a reason that waiting does not cure. The delay
 * doubles up to a bound and is drawn at random from its upper half, so that processes which failed
 * together do not return together.
 */
export async function withBackoff<Result>(
  operation: () => Promise<Result>,
  { signal, onRetry, firstMilliseconds = 50, mostMilliseconds = 5_000 }: BackoffOptions,
): Promise<Result> {
  for (let bound = firstMilliseconds; ; bound = Math.min(bound * 2, mostMilliseconds)) {
    throwIfStopped(signal)
    try {
      return await operation()
    } catch (error) {
      if (!(error instanceof LedgerError) || reactionTo(error) !== 'retry') throw error
      throwIfStopped(signal, error)
      const milliseconds = Math.round(bound * (0.5 + Math.random() / 2))
      onRetry(error, milliseconds)
      await sleep(milliseconds, undefined, { signal }).catch(() => {})
    }
  }
}

function throwIfStopped(signal: AbortSignal, cause: unknown = signal.reason): void {
  if (!signal.aborted) return
  throw new LedgerError('STOPPING', 'Stopped while waiting to try again.', { cause })
}
