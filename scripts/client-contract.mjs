// npm run generate, second half: the types of client/ from the OpenAPI document.
// In:  src/openapi/, bundled by itself: what is compiled already may rest on the types made here.
// Out: client/src/gen/contract.ts: a type for each schema, what each operation takes and answers,
//      and where in an answer whole numbers stand as strings.
// Absent: code that runs, but for the two tables.

import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { main, root } from './run.mjs'
import { installPackages } from './packages.mjs'

const target = path.join(root, 'client/src/gen/contract.ts')
const prefix = '#/components/schemas/'

/** Strings of this pattern are whole numbers of any size, and become bigint. */
const wholeNumber = '^-?(0|[1-9][0-9]*)$'

/** A finding for `npm run check`, as run() of run.mjs resolves. */
export async function compareContract() {
  const isThere = fs.existsSync(target)
  if (isThere && fs.readFileSync(target, 'utf8') === (await contractText())) {
    return { code: 0, output: '' }
  }
  const file = path.relative(root, target)
  return { code: 1, output: `${file} is not what \`npm run generate\` makes of the document.\n` }
}

async function contractText() {
  // Not at the top: `npm run check` loads this file before it has installed anything.
  const prettier = await import('prettier')
  const openapi = await readDocument()
  const { schemas } = openapi.components
  const named = Object.entries(schemas).map(([name, schema]) => declaration(name, schema))
  const text = [
    '// Generated from the OpenAPI document by scripts/client-contract.mjs: `npm run generate`.',
    '// In:  nothing.',
    '// Out: types of the schemas and the operations; where whole numbers stand in an answer.',
    '// Absent: anything written by hand.',
    '',
    ...named,
    operationTypes(openapi.paths),
    operationTable(openapi.paths, schemas),
    shapeTable(schemas),
  ].join('\n')
  const options = (await prettier.resolveConfig(target)) ?? {}
  return prettier.format(text, { ...options, filepath: target })
}

async function readDocument() {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [path.join(root, 'src/openapi/document.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
  })
  const source = Buffer.from(outputFiles[0].contents).toString('base64')
  return (await import(`data:text/javascript;base64,${source}`)).openapi
}

function declaration(name, schema) {
  const comment = docComment(schema.description)
  if (schema.type === 'object' && schema.properties) {
    return `${comment}export interface ${name} ${objectType(schema)}\n`
  }
  return `${comment}export type ${name} = ${typeOf(schema)}\n`
}

function docComment(text) {
  return text === undefined ? '' : `/** ${text.replaceAll('*/', '*\\/')} */\n`
}

function typeOf(schema = {}) {
  if (schema.$ref !== undefined) return schema.$ref.slice(prefix.length)
  const choices = schema.oneOf ?? schema.anyOf
  if (choices) return union(choices.map(typeOf))
  if (schema.allOf) return schema.allOf.map(typeOf).join(' & ')
  if ('const' in schema) return JSON.stringify(schema.const)
  // A query has no other way to write it.
  if (schema.enum?.toSorted().join() === 'false,true') return 'boolean'
  if (schema.enum) return union(schema.enum.map((value) => JSON.stringify(value)))
  const types = [schema.type ?? 'unknown'].flat()
  return union(types.map((type) => plainType(type, schema)))
}

function plainType(type, schema) {
  if (type === 'string') return schema.pattern === wholeNumber ? 'bigint' : 'string'
  if (type === 'integer') return schema.format === 'int64' ? 'bigint' : 'number'
  if (type === 'array') return `readonly (${typeOf(schema.items)})[]`
  if (type !== 'object') return type
  return schema.properties ? objectType(schema) : 'Readonly<Record<string, unknown>>'
}

function union(types) {
  return [...new Set(types)].join(' | ')
}

function objectType({ properties, required = [] }) {
  const members = Object.entries(properties).map(([name, schema]) => {
    const mark = required.includes(name) ? '' : '?'
    // Why a whole number is a string is no matter once it is a bigint.
    const comment = schema.pattern === wholeNumber ? '' : docComment(schema.description)
    return `${comment}${JSON.stringify(name)}${mark}: ${typeOf(schema)}`
  })
  return `{\n${members.join('\n')}\n}`
}

/** `[name, method, path, operation]` of each; its name is what no description can change. */
function operationsOf(paths) {
  return Object.entries(paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([word, operation]) => {
      const method = word.toUpperCase()
      return [`'${method} ${route}'`, method, route, operation]
    }),
  )
}

/** The successful replies of an operation that are JSON, by status. */
function repliesOf({ responses }) {
  return Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .map(([status, { content }]) => [status, content?.['application/json']?.schema])
    .filter(([, schema]) => schema !== undefined)
}

function operationTypes(paths) {
  const members = operationsOf(paths).map(([name, , , operation]) => {
    const parameters = (place) => {
      const found = (operation.parameters ?? []).filter((one) => one.in === place)
      const lines = found.map(
        (one) => `${one.name}${one.required ? '' : '?'}: ${typeOf(one.schema)} | undefined`,
      )
      const exact = place === 'path' ? lines.map((line) => line.replace(' | undefined', '')) : lines
      return lines.length === 0 ? '{}' : `{ ${exact.join('\n')} }`
    }
    const replies = union(repliesOf(operation).map(([, schema]) => typeOf(schema))) || 'never'
    return `${name}: { path: ${parameters('path')}\nquery: ${parameters('query')}\nreply: ${replies} }`
  })
  return `/** What each operation takes in its path and query, and its successful answer in JSON. */
    export interface Operations { ${members.join('\n')} }\n`
}

function operationTable(paths, schemas) {
  const rows = operationsOf(paths).map(([name, method, route, operation]) => {
    const shapes = repliesOf(operation).map(([status, schema]) => {
      const shape = shapeOf(schema, schemas)
      return `${status}: ${JSON.stringify(shape ?? null)}`
    })
    return `${name}: { method: '${method}', path: '${route}', shapes: { ${shapes.join(', ')} } }`
  })
  return `/** Whole numbers of an answer: the string "int", the name of a schema, the shape of an array's
      elements in brackets, or those of some members of an object. */
    export type Shape = string | readonly [Shape] | { readonly [member: string]: Shape }

    interface OperationRow {
      readonly method: 'GET' | 'POST'
      readonly path: string
      readonly shapes: { readonly [status: number]: Shape | null }
    }

    export const operations: { readonly [Name in keyof Operations]: OperationRow } = {
      ${rows.join(',\n')}
    }\n`
}

function shapeTable(schemas) {
  const rows = Object.entries(schemas)
    .map(([name, schema]) => [name, shapeOf(schema, schemas)])
    .filter(([, shape]) => shape !== undefined)
    .map(([name, shape]) => `${name}: ${JSON.stringify(shape)}`)
  return `export const schemaShapes: { readonly [name: string]: Shape | undefined } = {
    ${rows.join(',\n')}
  }`
}

/** Undefined where there is no whole number to look for. */
function shapeOf(schema = {}, schemas) {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.slice(prefix.length)
    return shapeOf(schemas[name], schemas) === undefined ? undefined : name
  }
  if (schema.allOf) return shapeOfAll(schema.allOf, schemas)
  for (const part of schema.oneOf ?? schema.anyOf ?? []) {
    const shape = shapeOf(part, schemas)
    if (shape !== undefined) return shape
  }
  if (schema.pattern === wholeNumber) return 'int'
  if (schema.items) {
    const inner = shapeOf(schema.items, schemas)
    return inner === undefined ? undefined : [inner]
  }
  const members = Object.entries(schema.properties ?? {})
    .map(([name, property]) => [name, shapeOf(property, schemas)])
    .filter(([, shape]) => shape !== undefined)
  return members.length === 0 ? undefined : Object.fromEntries(members)
}

/** The members of all parts. */
function shapeOfAll(parts, schemas) {
  const shapes = parts.map((part) => {
    const inner = part.$ref === undefined ? part : schemas[part.$ref.slice(prefix.length)]
    return shapeOf(inner, schemas) ?? {}
  })
  const whole = Object.assign({}, ...shapes)
  return Object.keys(whole).length === 0 ? undefined : whole
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    await installPackages()
    fs.mkdirSync(path.dirname(target), { recursive: true })
    fs.writeFileSync(target, await contractText())
  })
}
