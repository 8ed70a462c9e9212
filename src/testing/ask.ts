// A request to routes, without a server in between.
// In:  routes, a path with its query string, headers.
// Out: the reply.
// Absent: bodies, what the server itself refuses.

import assert from 'node:assert/strict'
import type { HttpReply, Route, WholeReply } from '../http/http.ts'
import { Router } from '../http/router.ts'

export interface Asked {
  /** By lower-case name. */
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal
}

export async function ask(
  routes: readonly Route[],
  path: string,
  { headers = {}, signal = new AbortController().signal }: Asked = {},
): Promise<HttpReply> {
  const [pathname = '', search] = path.split('?')
  const found = new Router(routes).find('GET', pathname)
  assert(found.kind === 'route', `${path}: ${found.kind}`)
  const { route, parameters } = found
  return route.handle({
    method: 'GET',
    path: pathname,
    parameters,
    query: new URLSearchParams(search),
    contentType: '',
    header: (name) => {
      assert(name === 'accept' || route.headers?.includes(name), `${name} is in Route.headers`)
      return headers[name] ?? ''
    },
    keepBody: () => assert.fail('no body'),
    body: new Uint8Array(0),
    signal,
  })
}

/** The same where the reply is no stream. */
export async function askWhole(
  routes: readonly Route[],
  path: string,
  asked?: Asked,
): Promise<WholeReply> {
  const reply = await ask(routes, path, asked)
  assert(typeof reply.body === 'string' || reply.body instanceof Uint8Array)
  return reply as WholeReply
}

export function parsed(reply: WholeReply): unknown {
  return JSON.parse(String(reply.body))
}
