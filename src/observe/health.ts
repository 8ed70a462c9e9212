// What operators and their machines ask: alive, ready, metrics.
// In:  probes that say what is not ready.
// Out: routes.
// Absent: what the probes look at.

import type { HttpReply, Route } from '../http/http.ts'
import { registry } from './metrics.ts'

/** Why this process should get no requests now; undefined when it should. */
export type Probe = () => string | undefined

/** @param remarks what is not as it should be, though this process should get requests */
export function healthRoutes(
  probes: readonly Probe[],
  remarks: () => string[] = () => [],
): Route[] {
  return [
    { method: 'GET', path: '/healthz', handle: () => json(200, { status: 'ok' }) },
    { method: 'GET', path: '/readyz', handle: () => readiness(probes, remarks()) },
    {
      method: 'GET',
      path: '/metrics',
      produces: 'text/plain',
      handle: async () => ({
        status: 200,
        contentType: registry.contentType,
        body: await registry.metrics(),
      }),
    },
  ]
}

function readiness(probes: readonly Probe[], remarks: readonly string[]): HttpReply {
  const reasons = probes.map((probe) => probe()).filter((reason) => reason !== undefined)
  const ready = reasons.length === 0
  const answer = ready ? { ready } : { ready, reasons }
  return json(ready ? 200 : 503, remarks.length === 0 ? answer : { ...answer, remarks })
}

function json(status: number, value: unknown): HttpReply {
  return { status, contentType: 'application/json', body: JSON.stringify(value) }
}
