import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Validator } from '@seriousme/openapi-schema-validator'
import { withoutExample } from '../../openapi/examples.ts'
import { temporaryDirectory } from '../guard.ts'
import { faultsOfHtml } from '../html-faults.ts'
import { ApiContract, type Operation } from '../openapi.ts'
import { endPostmasters } from '../postmasters.ts'
import { Program } from '../program.ts'

describe('the OpenAPI document of a running program', () => {
  const directory = temporaryDirectory('openapi')
  let program: Program
  let contract: ApiContract
  before(async () => {
    const flags = ['--listen', '127.0.0.1:0', '--data-dir', directory.path, '--log-level', 'debug']
    program = await new Program(flags).ready()
    const reply = await fetch(`${program.url}/openapi.json`)
    contract = new ApiContract((await reply.json()) as Record<string, unknown>)
    await takeExampleBatch()
  })
  after(async () => {
    await program.stop()
    await endPostmasters(directory.path)
    directory.remove()
  })

  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(structuredClone(contract.document))
    assert(valid, JSON.stringify(errors, null, 2))
    assert.equal(validator.version, '3.1')
  })

  test('has the version of the package', () => {
    const file = join(import.meta.dirname, '../../../package.json')
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
    assert.equal((contract.document['info'] as { version: string }).version, version)
  })

  test('describes every route the program has, and no other', async () => {
    const { routes } = await program.logged(({ msg }) => msg === 'listening')
    const described = contract.operations.map(({ method, path }) => `${method} ${path}`)
    assert.deepEqual(described.sort(), (routes as string[]).toSorted())
  })

  test('has an example of every operation that fits the schemas', () => {
    for (const operation of contract.operations) {
      if (withoutExample.has(operation.id)) continue
      const replies = contract.exampleReplies(operation)
      assert(replies.length > 0, `${operation.id} has no example`)
      for (const { status, value, schema } of replies) {
        contract.assertFits(schema, value, `${operation.id} ${status}, example`)
      }
      if (operation.body === undefined) continue
      contract.assertFits(operation.body.schema, operation.body.example, `${operation.id}, body`)
    }
  })

  test('has examples that the program answers as they say', async () => {
    for (const operation of contract.operations) {
      if (withoutExample.has(operation.id)) continue
      const reply = await send(operation)
      const text = await reply.text()
      const example = contract
        .exampleReplies(operation)
        .find(({ status }) => status === reply.status)
      assert(example, `${operation.id}: ${reply.status} ${text}`)
      const found: unknown = JSON.parse(text)
      contract.assertFits(example.schema, found, `${operation.id}, reply`)
      assert.deepEqual(membersOf(found), membersOf(example.value), `${operation.id}: ${text}`)
    }
  })

  test('is a page at /docs, well-formed and complete in itself', async () => {
    const reply = await fetch(`${program.url}/docs`)
    assert.equal(reply.status, 200)
    assert.match(reply.headers.get('content-type') ?? '', /^text\/html/)
    assert.match(reply.headers.get('content-security-policy') ?? '', /^default-src 'none'/)
    const page = await reply.text()
    assert.deepEqual(faultsOfHtml(page), [])
    for (const { id, path } of contract.operations) {
      assert(page.includes(`id="${id}"`), id)
      assert(page.includes(`<code>${path}</code>`), path)
    }
    assert(
      page.includes(`curl -sS &#39;${program.url}/v1/`) || page.includes(`'${program.url}/v1/`),
    )
  })

  /** What the other examples read. */
  async function takeExampleBatch(): Promise<void> {
    const reply = await send(contract.operation('postTransactions'))
    const receipt = ((await reply.json()) as { receipt?: string }).receipt
    if (receipt !== undefined) contract.actual.set('receipt', receipt)
    const account = contract.operation('getAccount')
    const deadline = Date.now() + 20_000
    while ((await send(account)).status !== 200) {
      assert(Date.now() < deadline, 'the example batch is not persisted')
      await delay(50)
    }
  }

  function send(operation: Operation): Promise<Response> {
    const { url, init } = contract.request(operation, program.url)
    return fetch(url, init)
  }
})

/** Names of members, and of those of the first element of an array; no values. */
function membersOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(membersOf)
  if (typeof value !== 'object' || value === null) return null
  const members = Object.entries(value).map(([name, member]) => [name, membersOf(member)])
  return Object.fromEntries(members) as unknown
}
