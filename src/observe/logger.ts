// Structured logs: JSON lines, or pretty lines on a terminal.
// In:  a level and a format.
// Out: a pino logger.
// Absent: reading the environment (config.ts), secrets (config.ts masks them).

import pino, { type Logger } from 'pino'
import pretty from 'pino-pretty'

export type { Logger } from 'pino'

export type LogFormat = 'auto' | 'json' | 'pretty'

/**
 * Writes to standard output, synchronously when pretty, so that what is printed before an exit is
 * not lost.
 */
export function createLogger(level: string, format: LogFormat): Logger {
  const wantsPretty = format === 'pretty' || (format === 'auto' && process.stdout.isTTY)
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  if (!wantsPretty) return pino(options, pino.destination({ fd: 1, sync: true }))
  return pino(options, pretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l', singleLine: true }))
}
