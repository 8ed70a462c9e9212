// The line a busy process logs once a second.
// In:  the counters, the lag.
// Out: a log line with rates; nothing while idle.
// Absent: metrics of its own.

import type { Logger } from './logger.ts'
import { metrics } from './metrics.ts'

export interface ReportOptions {
  logger: Logger
  /** Undefined where this process has no workers. */
  lag: (() => { records: number; seconds: number }) | undefined
}

async function counts(): Promise<{ accepted: number; persisted: number }> {
  const [accepted, persisted] = await Promise.all([metrics.accepted.get(), metrics.persisted.get()])
  return { accepted: accepted.values[0].value, persisted: persisted.values[0].value }
}

/** Starts logging; returns how to stop. */
export async function startReport({ logger, lag }: ReportOptions): Promise<() => void> {
  let before = await counts()
  let at = performance.now()
  const report = async (): Promise<void> => {
    const now = await counts()
    const seconds = (performance.now() - at) / 1000
    const accepted = Math.round((now.accepted - before.accepted) / seconds)
    const persisted = Math.round((now.persisted - before.persisted) / seconds)
    before = now
    at = performance.now()
    const behind = lag?.()
    if (accepted === 0 && persisted === 0 && (behind?.records ?? 0) === 0) return
    logger.info(
      {
        'accepted/s': accepted,
        ...(behind && {
          'persisted/s': persisted,
          lagRecords: behind.records,
          lagSeconds: Math.round(behind.seconds * 1000) / 1000,
        }),
      },
      'busy',
    )
  }
  const timer = setInterval(() => void report(), 1000)
  return () => {
    clearInterval(timer)
  }
}
