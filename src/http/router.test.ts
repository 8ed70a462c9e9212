import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Route } from './http.ts'
import { Router } from './router.ts'

function route(method: Route['method'], path: string): Route {
  return { method, path, handle: () => ({ status: 200, contentType: 'text/plain', body: '' }) }
}

const router = new Router([
  route('POST', '/v1/transactions'),
  route('GET', '/v1/accounts/{account_id}'),
  route('GET', '/v1/accounts/{account_id}/transactions'),
  route('GET', '/both'),
  route('POST', '/both'),
])

function find(method: string, path: string): string {
  const found = router.find(method, path)
  switch (found.kind) {
    case 'route':
      return [found.route.path, ...found.parameters].join(' ')
    case 'method':
      return `allow ${found.allow}`
    case 'malformed':
      return `malformed ${found.segment}`
    case 'none':
      return 'none'
  }
}

test('a path leads to its route, with its parameters decoded', () => {
  assert.equal(find('POST', '/v1/transactions'), '/v1/transactions')
  assert.equal(find('GET', '/v1/accounts/a'), '/v1/accounts/{account_id} a')
  assert.equal(find('GET', '/v1/accounts/%C3%A9%2F'), '/v1/accounts/{account_id} é/')
  assert.equal(
    find('GET', '/v1/accounts/a/transactions'),
    '/v1/accounts/{account_id}/transactions a',
  )
})

test('a path that is nearly one of ours is none of ours', () => {
  for (const path of [
    '/',
    '//v1/transactions',
    '/v1/transactions/',
    '/V1/transactions',
    '/v1/accounts/',
    '/v1/accounts/a/',
    '/v1/accounts/a/b',
    '/v1/accounts//transactions',
    '/v1/accounts/a/transactions/x',
  ]) {
    assert.equal(find('GET', path), 'none', path)
  }
})

test('HEAD is allowed where GET is, and every other method is answered with those that are', () => {
  assert.equal(find('HEAD', '/v1/accounts/a'), '/v1/accounts/{account_id} a')
  assert.equal(find('DELETE', '/v1/accounts/a'), 'allow GET, HEAD')
  assert.equal(find('GET', '/v1/transactions'), 'allow POST')
  assert.equal(find('HEAD', '/v1/transactions'), 'allow POST')
  assert.equal(find('PUT', '/both'), 'allow GET, HEAD, POST')
  assert.equal(find('get', '/both'), 'allow GET, HEAD, POST')
  assert.equal(find('constructor', '/both'), 'allow GET, HEAD, POST')
})

test('broken percent-encoding is said to be broken', () => {
  for (const segment of ['%', '%zz', 'a%2', '%ff', '%c3%28']) {
    assert.equal(find('GET', `/v1/accounts/${segment}`), `malformed ${segment}`)
  }
})
