import assert from 'node:assert/strict'
import { test } from 'node:test'
import { framingOf, isAcceptable, mediaTypeOf, preferredOf } from './negotiation.ts'

const json = ['application/json', 'application/problem+json']

test('a body is as long as one Content-Length says, and only a plain number says it', () => {
  const framing = (length: string): unknown => {
    const found = framingOf(new Map([['content-length', length]]))
    return typeof found === 'object' ? found.status : found
  }
  assert.equal(framing('0'), 0)
  assert.equal(framing('571000'), 571000)
  for (const bad of ['', '-1', '+1', '1.0', '0x10', '1e3', '2, 2', '2 2', 'two', '9'.repeat(16)]) {
    assert.equal(framing(bad), 400, bad)
  }
})

test('a transfer coding other than chunked, once and alone, is refused', () => {
  const framing = (coding: string, more: [string, string][] = []): unknown => {
    const found = framingOf(new Map([['transfer-encoding', coding], ...more]))
    return typeof found === 'object' ? found.status : found
  }
  assert.equal(framing('chunked'), 'chunked')
  assert.equal(framing('Chunked'), 'chunked')
  assert.equal(framing('chunked', [['content-length', '2']]), 400)
  assert.equal(framing('chunked', [['trailer', 'x']]), 400)
  for (const bad of ['gzip', 'identity', 'gzip, chunked', 'chunked, chunked', '']) {
    assert.equal(framing(bad), 501, bad)
  }
})

test('a media type is read without its parameters, whatever their case and order', () => {
  const read = (value: string): string => Object.values(mediaTypeOf(value)).join(' ')
  assert.equal(read('application/json'), 'application/json ')
  assert.equal(read('Application/JSON;charset=UTF-8'), 'application/json utf-8')
  assert.equal(read('application/json; a=b ; Charset="utf-8"'), 'application/json utf-8')
  assert.equal(read(''), ' ')
})

test('Accept is followed from the most specific range to the least', () => {
  for (const accept of [
    '',
    '*/*',
    'application/*',
    'application/json',
    'text/html, application/json;q=0.1',
    'application/problem+json',
    'application/json;q=0, */*',
    'APPLICATION/JSON',
    'text/html, */*; q=0.01',
  ]) {
    assert(isAcceptable(accept, json), accept)
  }
  for (const accept of [
    'text/html',
    'application/xml, text/*',
    '*/*;q=0',
    'application/*;q=0, */*',
    'application/json;q=0',
  ]) {
    assert(!isAcceptable(accept, json), accept)
  }
})

test('of types that are liked equally, the one that is named is preferred', () => {
  const types = ['application/x-ndjson', 'text/event-stream'] as const
  assert.equal(preferredOf('text/event-stream, */*', types), 'text/event-stream')
  assert.equal(preferredOf('*/*, text/*', types), 'text/event-stream')
  assert.equal(preferredOf('text/event-stream;q=0.5, */*', types), 'application/x-ndjson')
  assert.equal(preferredOf('*/*;q=0.1', types), 'application/x-ndjson')
  assert.equal(preferredOf('text/html', types), undefined)
})
