// The real HTTP server on a free port, for the length of one test.
// In:  routes, limits where they matter.
// Out: its port, the budget it takes from, what it logged as errors.
// Absent: routes of the program.

import pino from 'pino'
import type { TestContext } from 'node:test'
import { ByteBudget } from '../http/budget.ts'
import type { Route } from '../http/http.ts'
import { streamsMax, streamStallMs } from '../limits.ts'
import { startHttpServer, type HttpServer } from '../http/server.ts'

export interface Served {
  server: HttpServer
  port: number
  url: string
  budget: ByteBudget
  /** Lines of level error. */
  errors: string[]
  /** Lines of level warn. */
  warnings: string[]
}

export interface ServedOptions {
  routes: readonly Route[]
  bodyBytesMax?: number
  bodyDeadlineMs?: number
  streamsMax?: number
  streamStallMs?: number
  inflightBytesMax?: number
  budget?: ByteBudget
  sharesBodies?: boolean
}

export async function serve(t: TestContext, options: ServedOptions): Promise<Served> {
  const budget = options.budget ?? new ByteBudget(options.inflightBytesMax ?? 2 ** 24)
  const errors: string[] = []
  const warnings: string[] = []
  const write = (line: string): number =>
    (line.includes('"level":40') ? warnings : errors).push(line)
  const logger = pino({ level: 'warn' }, { write })
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes: options.routes,
    limits: {
      bodyBytesMax: options.bodyBytesMax ?? 2 ** 20,
      bodyDeadlineMs: options.bodyDeadlineMs ?? 10_000,
      streamsMax: options.streamsMax ?? streamsMax,
      streamStallMs: options.streamStallMs ?? streamStallMs,
    },
    sharesBodies: options.sharesBodies ?? false,
    budget,
    logger,
  })
  t.after(() => server.close(AbortSignal.abort()))
  return { server, port: server.port, url: `http://${server.address}`, budget, errors, warnings }
}
