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

interface Counts {
  accepted: number
  persisted: number
  duplicates: number
}

async function counts(): Promise<Counts> {
  const [accepted, persisted, duplicates] = await Promise.all(
    [metrics.accepted, metrics.persisted, metrics.duplicates].map(async (counter) => {
      return (await counter.get()).values[0].value
    }),
  )
  return { accepted, persisted, duplicates }
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
    const duplicates = Math.round((now.duplicates - before.duplicates) / seconds)
    before = now
    at = performance.now()
    const behind = lag?.()
    if (accepted === 0 && persisted === 0 && (behind?.records ?? 0) === 0) return
    logger.info(
      {
        'accepted/s': accepted,
        ...(behind && {
          'persisted/s': persisted,
          ...(duplicates > 0 && { 'duplicates/s': duplicates }),
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
