// JSON Schema as a person reads it.
// In:  schemas of the document.
// Out: HTML: a phrase for a type, a list for the properties of an object.
// Absent: validation.

import { html, type Html } from './html.ts'
import type { Schema } from './parts.ts'

const referencePrefix = '#/components/schemas/'

/** e.g. `array of Transaction, 1 to 5000 items`. */
export function typeOf(schema: Schema): Html {
  const reference = schema['$ref']
  if (typeof reference === 'string') {
    const name = reference.slice(referencePrefix.length)
    return html`<a href="#schema-${name}">${name}</a>`
  }
  const choices = (schema['oneOf'] ?? schema['anyOf']) as readonly Schema[] | undefined
  if (choices) return joined(choices.map(typeOf), ' or ')
  const all = schema['allOf'] as readonly Schema[] | undefined
  if (all) return joined(all.map(typeOf), ' and ')
  if ('const' in schema) return html`<code>${JSON.stringify(schema['const'])}</code>`
  const values = schema['enum'] as readonly unknown[] | undefined
  if (values) {
    return joined(
      values.map((value) => html`<code>${String(value)}</code>`),
      ' or ',
    )
  }
  const items = schema['items'] as Schema | undefined
  const type = (schema['type'] ?? 'anything') as string | readonly string[]
  const kind = typeof type === 'string' ? type : type.join(' or ')
  const bounds = boundsOf(schema)
  const ending = bounds === '' ? '' : `, ${bounds}`
  if (kind === 'array' && items) return html`array of ${typeOf(items)}${ending}`
  const format = schema['format'] as string | undefined
  return html`${format === undefined ? kind : `${kind} (${format})`}${ending}`
}

/** The properties of an object; of anything else, its type. */
export function propertyRows(schema: Schema): Html {
  const properties = schema['properties'] as Readonly<Record<string, Schema>> | undefined
  if (properties === undefined) return html`<p class="type">${typeOf(schema)}</p>`
  const required = (schema['required'] ?? []) as readonly string[]
  return html`<dl>
    ${Object.entries(properties).map(
      ([name, property]) =>
        html`<dt>
            <code>${name}</code> <span class="type">${typeOf(property)}</span>
            ${required.includes(name) ? '' : html`<span class="place">optional</span>`}
          </dt>
          <dd>${property['description'] ?? ''}${nested(property)}</dd>`,
    )}
  </dl>`
}

/** Properties of an object that has no name of its own, also as the items of an array. */
function nested(schema: Schema): Html | '' {
  const inner = (schema['items'] as Schema | undefined) ?? schema
  return inner['properties'] === undefined ? '' : propertyRows(inner)
}

function boundsOf(schema: Schema): string {
  const told = [
    between(schema['minimum'], schema['maximum'], ''),
    between(schema['minItems'], schema['maxItems'], ' items'),
    between(schema['minLength'], schema['maxLength'], ' characters'),
    schema['default'] === undefined ? '' : `${JSON.stringify(schema['default'])} by default`,
  ]
  return told.filter((text) => text !== '').join(', ')
}

function between(least: unknown, most: unknown, unit: string): string {
  if (least !== undefined && most !== undefined) {
    return `${JSON.stringify(least)} to ${JSON.stringify(most)}${unit}`
  }
  if (least !== undefined) return `at least ${JSON.stringify(least)}${unit}`
  return most === undefined ? '' : `at most ${JSON.stringify(most)}${unit}`
}

function joined(parts: readonly Html[], between: string): Html {
  return html`${parts.map((part, i) => html`${i === 0 ? '' : between}${part}`)}`
}
