import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openapi, openapiRoutes } from '../openapi/document.ts'
import { serve } from '../testing/served.ts'
import { healthRoutes } from './health.ts'
import { metrics } from './metrics.ts'

test('a live process says so, and is ready when no probe has a reason against it', async (t) => {
  const reasons: (string | undefined)[] = [undefined, undefined]
  const probes = reasons.map((_, i) => () => reasons[i])
  const { url } = await serve(t, { routes: healthRoutes(probes) })
  const ready = async (): Promise<unknown[]> => {
    const reply = await fetch(`${url}/readyz`)
    return [reply.status, await reply.json()]
  }
  assert.deepEqual(await (await fetch(`${url}/healthz`)).json(), { status: 'ok' })
  assert.deepEqual(await ready(), [200, { ready: true }])
  reasons[1] = 'The log is away.'
  assert.deepEqual(await ready(), [503, { ready: false, reasons: ['The log is away.'] }])
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
})

test('metrics are text that Prometheus reads, with requests by route and status', async (t) => {
  metrics.accepted.inc(3)
  const { url } = await serve(t, { routes: healthRoutes([]) })
  await fetch(`${url}/nowhere`)
  const reply = await fetch(`${url}/metrics`, { headers: { Accept: 'text/plain;version=0.0.4' } })
  assert.match(reply.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await reply.text()
  assert.match(text, /^ledger_accepted_transactions_total 3$/m)
  assert.match(text, /^ledger_http_requests_total\{route="none",status="404"\} 1$/m)
})

test('the OpenAPI document is served, and every reference in it leads somewhere', async (t) => {
  const { url } = await serve(t, { routes: openapiRoutes })
  const reply = await fetch(`${url}/openapi.json`)
  assert.deepEqual(await reply.json(), JSON.parse(JSON.stringify(openapi)))
  const references = JSON.stringify(openapi).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)
  const names = new Set([...references].map(([, name]) => name))
  for (const name of names) assert(name in openapi.components.schemas, name)
  assert(names.has('Problem') && names.has('Transaction'))
})
