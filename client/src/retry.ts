// When to try again, and after how long.
// In:  what an attempt came to, how many there were.
// Out: a pause; or that trying again is of no use.
// Absent: sending (transport.ts).

export interface RetryOptions {
  /** How long to go on trying, in milliseconds; 0 tries once, Infinity for ever. Default: 60 s. */
  forMs?: number
  /** Pause after the first failure, in milliseconds. Default: 50. */
  firstMs?: number
  /** Longest pause, unless the ledger asks for a longer one. Default: 5 s. */
  mostMs?: number
}

export const retryDefaults: Required<RetryOptions> = { forMs: 60_000, firstMs: 50, mostMs: 5000 }

/**
 * Answers that another attempt may better: late, too many, a fault, a proxy without its server, not
 * now. All requests of this client may be repeated: batches by their ids, reads by nature.
 */
const passing: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

export function mayPass(status: number): boolean {
  return passing.has(status)
}

/**
 * Grows twofold with each failure and is spread over its upper half, so that clients that failed
 * together do not come back together. What the ledger asked for is waited at least.
 *
 * @param failures from 1
 */
export function pauseMs(
  { firstMs, mostMs }: Required<RetryOptions>,
  failures: number,
  askedMs: number,
): number {
  const full = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 30))
  const spread = full / 2 + Math.random() * (full / 2)
  return askedMs > 0 ? askedMs + Math.random() * full : spread
}

/** Retry-After as milliseconds from now: seconds or a date (RFC 9110, 10.2.3); 0 for neither. */
export function retryAfterMs(header: string | null, now = Date.now()): number {
  if (header === null) return 0
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? 0 : Math.max(0, date - now)
}

/** Resolves after a while, or rejects with the reason of the signal. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
