// /docs: the OpenAPI document as a page for people.
// In:  the document.
// Out: one HTML text, complete in itself: no script, no font, no image, nothing from elsewhere.
// Absent: anything about this API in particular; what the page says, the document says.

import { html, raw, type Html } from './html.ts'
import type { Schema } from './parts.ts'
import { propertyRows, typeOf } from './page-schema.ts'
import { pageStyle } from './page-style.ts'

interface Parameter {
  name: string
  in: string
  required?: boolean
  description?: string
  example?: unknown
  schema?: Schema
}

type Content = Readonly<Record<string, { schema?: Schema; example?: unknown }>>

interface Reply {
  description: string
  headers?: Readonly<Record<string, { description?: string }>>
  content?: Content
}

interface Operation {
  operationId: string
  summary: string
  description?: string
  parameters?: readonly Parameter[]
  requestBody?: { content: Content }
  responses: Readonly<Record<string, Reply>>
}

export interface ApiDocument {
  info: { title: string; version: string; description?: string }
  paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  components: { schemas: Readonly<Record<string, Schema>> }
}

/** `origin` stands in the curl lines, e.g. `http://127.0.0.1:7070`. */
export function documentPage(document: ApiDocument, origin: string): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      operation: operation as Operation,
    })),
  )
  const schemas = Object.entries(document.components.schemas)
  const { title, version, description } = document.info
  const body = html`
    <header>
      <h1>${title} <small>${version}</small></h1>
      ${description === undefined ? '' : html`<p>${description}</p>`}
      <p>For programs: <a href="/openapi.json">openapi.json</a>, OpenAPI 3.1.</p>
    </header>
    <nav aria-label="Operations">
      <ul>
        ${operations.map(
          ({ path, method, operation }) =>
            html`<li>
              <a href="#${operation.operationId}"><b>${method}</b> <code>${path}</code></a>
            </li>`,
        )}
      </ul>
    </nav>
    <main>
      ${operations.map(({ path, method, operation }) => section(path, method, operation, origin))}
      <h2 id="schemas">Schemas</h2>
      ${schemas.map(([name, schema]) => schemaSection(name, schema))}
    </main>
  `
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}: HTTP API</title>
        <style>
          ${raw(pageStyle)}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html>`.text
}

function section(path: string, method: string, operation: Operation, origin: string): Html {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation
  return html`
    <section id="${operationId}">
      <h2><span class="method ${method.toLowerCase()}">${method}</span> <code>${path}</code></h2>
      <p>${summary}</p>
      ${description === undefined ? '' : html`<p>${description}</p>`}
      <pre class="call"><code>${curl(path, method, operation, origin)}</code></pre>
      ${parameters.length === 0 ? '' : parameterTable(parameters)}
      ${
        requestBody === undefined
          ? ''
          : html`<h3>Body</h3>
              ${contents(requestBody.content)}`
      }
      <h3>Replies</h3>
      <dl class="replies">
        ${Object.entries(responses).map(([status, reply]) => replyItem(status, reply))}
      </dl>
    </section>
  `
}

/** A line to paste; parameters without an example stay out of it, in the path as their names. */
function curl(path: string, method: string, operation: Operation, origin: string): string {
  const { parameters = [], requestBody } = operation
  const filled = path.replace(/\{(\w+)\}/g, (whole, name) => {
    const example = parameters.find((one) => one.in === 'path' && one.name === name)?.example
    return example === undefined ? whole : encodeURIComponent(shown(example))
  })
  const query = parameters
    .filter((one) => one.in === 'query' && one.example !== undefined)
    .map(({ name, example }) => `${name}=${encodeURIComponent(shown(example))}`)
    .join('&')
  const url = `${origin}${filled}${query === '' ? '' : `?${query}`}`
  const line = `curl -sS${method === 'GET' ? '' : ` -X ${method}`} '${url}'`
  const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? []
  if (type === undefined) return line
  const data = media?.example === undefined ? '@FILE' : JSON.stringify(media.example)
  return `${line} \\\n  -H 'content-type: ${type}' \\\n  --data-binary '${data}'`
}

function parameterTable(parameters: readonly Parameter[]): Html {
  return html`<h3>Parameters</h3>
    <dl>
      ${parameters.map(
        ({ name, in: place, required, description, schema = {} }) =>
          html`<dt>
              <code>${name}</code> <span class="type">${typeOf(schema)}</span>
              <span class="place">${place}${required ? ', required' : ''}</span>
            </dt>
            <dd>${description ?? schema['description'] ?? ''}</dd>`,
      )}
    </dl>`
}

function replyItem(status: string, { description, headers = {}, content = {} }: Reply): Html {
  const names = Object.entries(headers)
  return html`<dt><code>${status}</code> ${description}</dt>
    <dd>
      ${names.map(
        ([name, header]) => html`<p><code>${name}</code>: ${header.description ?? ''}</p>`,
      )}
      ${contents(content)}
    </dd>`
}

function contents(content: Content): readonly Html[] {
  return Object.entries(content).map(
    ([type, { schema, example }]) =>
      html`<p>
          <code>${type}</code>${
            schema === undefined ? '' : html`: <span class="type">${typeOf(schema)}</span>`
          }
        </p>
        ${example === undefined ? '' : html`<pre><code>${pretty(example)}</code></pre>`}`,
  )
}

function schemaSection(name: string, schema: Schema): Html {
  return html`
    <section id="schema-${name}">
      <h3><code>${name}</code></h3>
      ${schema['description'] === undefined ? '' : html`<p>${schema['description']}</p>`}
      ${propertyRows(schema)}
    </section>
  `
}

function shown(example: unknown): string {
  return typeof example === 'string' ? example : JSON.stringify(example)
}

function pretty(example: unknown): string {
  return typeof example === 'string' ? example : JSON.stringify(example, null, 2)
}
