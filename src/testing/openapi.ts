// The OpenAPI document as tests use it: operations with their examples, requests, schemas to hold
// values against.
// In:  the document as served.
// Out: operations; requests made of their examples; assertions.
// Absent: the program's own description (src/openapi/), except in what it serves.

import assert from 'node:assert/strict'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'

type Json = Readonly<Record<string, unknown>>

export interface Operation {
  id: string
  method: string
  path: string
  parameters: readonly { name: string; in: string; example?: unknown; schema: Json }[]
  body: { type: string; schema: Json; example: unknown } | undefined
  responses: Readonly<Record<string, Json>>
}

interface ExampleReply {
  status: number
  type: string
  schema: Json
  value: unknown
}

export class ApiContract {
  readonly document: Json
  readonly operations: readonly Operation[]
  /** What stands for the example of a parameter that another server would not know, by name. */
  readonly actual = new Map<string, string>()
  readonly #ajv: Ajv2020

  constructor(document: Json) {
    this.document = document
    // The document says more than JSON Schema knows: examples, formats of its own.
    this.#ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true })
    formats.default(this.#ajv)
    this.#ajv.addFormat('int64', true)
    this.#ajv.addFormat('binary', true)
    this.#ajv.addSchema({ $id: 'document', ...document }, 'document')
    const paths = document['paths'] as Record<string, Record<string, Json>>
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) =>
        operationOf(method.toUpperCase(), path, operation),
      ),
    )
  }

  operation(id: string): Operation {
    const found = this.operations.find((one) => one.id === id)
    assert(found, `no operation ${id}`)
    return found
  }

  /** The replies of an operation that have an example. */
  exampleReplies({ responses }: Operation): ExampleReply[] {
    return Object.entries(responses).flatMap(([status, response]) =>
      Object.entries((response['content'] ?? {}) as Record<string, Json>)
        .filter(([, media]) => 'example' in media)
        .map(([type, media]) => ({
          status: Number(status),
          type,
          schema: media['schema'] as Json,
          value: media['example'],
        })),
    )
  }

  /** The request that the examples of an operation make. */
  request(operation: Operation, origin: string): { url: string; init: RequestInit } {
    const { method, path, parameters, body } = operation
    const valueOf = (name: string): string | undefined => {
      const example = parameters.find((one) => one.name === name)?.example
      return (
        this.actual.get(name) ??
        (example === undefined
          ? undefined
          : typeof example === 'string'
            ? example
            : JSON.stringify(example))
      )
    }
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = valueOf(name)
      assert(value !== undefined, `${operation.id}: no example of ${name}`)
      return encodeURIComponent(value)
    })
    const query = new URLSearchParams()
    for (const { name, in: place, example } of parameters) {
      const value = valueOf(name)
      if (place === 'query' && example !== undefined && value !== undefined) query.set(name, value)
    }
    const search = query.size === 0 ? '' : `?${query.toString()}`
    const init: RequestInit = {
      method,
      ...(body && {
        headers: { 'content-type': body.type },
        body: typeof body.example === 'string' ? body.example : JSON.stringify(body.example),
      }),
    }
    return { url: `${origin}${filled}${search}`, init }
  }

  /** Holds a value against a schema of the document. */
  assertFits(schema: Json, value: unknown, what: string): void {
    const inDocument = JSON.parse(
      JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/'),
    ) as Json
    const check = this.#ajv.compile(inDocument)
    assert(check(value), `${what}: ${this.#ajv.errorsText(check.errors)}`)
  }
}

function operationOf(method: string, path: string, operation: Json): Operation {
  const content = (operation['requestBody'] as Json | undefined)?.['content']
  const [type, media] = Object.entries((content ?? {}) as Record<string, Json>)[0] ?? []
  return {
    id: String(operation['operationId']),
    method,
    path,
    parameters: (operation['parameters'] ?? []) as Operation['parameters'],
    body:
      type === undefined || media === undefined
        ? undefined
        : { type, schema: media['schema'] as Json, example: media['example'] },
    responses: operation['responses'] as Operation['responses'],
  }
}
