import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { brokenRule, isGenerated, isTest, type Import } from './tidy-rooms.ts'
import { anyTypes, environmentUses, functionLengths, importsOf, parse } from './tidy-source.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const columnsMax = 100
const fileLinesMax = 400
const functionLinesMax = 70

/** Folders whose content nobody wrote here. */
const foreign = new Set(['node_modules', 'dist', 'data', '.git'])

const handwritten = filesBelow('src', '.ts')
  .map((path) => relative('src', path))
  .filter((file) => !isGenerated(file))
  .map((file) => parse(file, readFileSync(join(root, 'src', file), 'utf8')))

/** The client is a package of its own, held to the same rules, and to one more. */
const client = filesBelow('client/src', '.ts')
  .filter((path) => !isGenerated(path))
  .map((path) => parse(join('..', path), readFileSync(join(root, path), 'utf8')))

const measured = [...handwritten, ...client]

const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  devDependencies: Record<string, string>
}

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isFile()) return path.endsWith(ending) ? [path] : []
    return entry.isDirectory() && !foreign.has(entry.name) ? filesBelow(path, ending) : []
  })
}

/** An address cannot be broken, and neither can the name of a test, which is one sentence. */
function linesOver(text: string, columns: number): number[] {
  const isWhole = (line: string): boolean => line.includes('://') || /^\s*test\(['`]/.test(line)
  return text
    .split('\n')
    .flatMap((line, index) => (line.length > columns && !isWhole(line) ? [index + 1] : []))
}

/** `findings` are `file:line rule`, one a line. */
function none(findings: string[]): void {
  if (findings.length > 0) assert.fail(`\n${findings.join('\n')}`)
}

function importOf(from: string, to: string, more: Partial<Import> = {}): Import {
  return { from, to, isPackage: false, typeOnly: false, ...more }
}

test('imports go one way', () => {
  const names = Object.keys(devDependencies)
  none(
    handwritten.flatMap((source) =>
      importsOf(source).flatMap(({ line, value }) => {
        const rule = brokenRule(value, names)
        return rule === undefined ? [] : [`src/${source.file}:${line} imports ${value.to}: ${rule}`]
      }),
    ),
  )
})

test('an import against the direction is found, however it is written', () => {
  const lines = [
    `import { a } from '../postgres/copy.ts'`,
    `export { b } from '../postgres/copy.ts'`,
    `const c = await import('../postgres/copy.ts')`,
    `type D = import('../postgres/copy.ts').D`,
    `import uws from 'uWebSockets.js'`,
    `import { Producer } from '@confluentinc/kafka-javascript/lib'`,
    `import fc from 'fast-check'`,
    `import { BatchSchema } from '../record/gen/ledger/v1/ledger_pb.ts'`,
    `import { startKafka } from '../testing/kafka.ts'`,
  ]
  const imports = importsOf(parse('ingress/append.ts', lines.join('\n')))
  const broken = imports.filter(({ value }) => brokenRule(value, ['fast-check']) !== undefined)
  assert.deepEqual(
    broken.map(({ line }) => line),
    lines.map((_, index) => index + 1),
  )
})

test('the directions in the design are allowed, and only as far as they go', () => {
  const allowed = [
    importOf('main.ts', 'worker/orchestrator.ts'),
    importOf('worker/thread.ts', 'ledger/commit.ts'),
    importOf('ledger/commit.ts', 'postgres/connection.ts'),
    importOf('ledger/flush.ts', 'log/log.ts', { typeOnly: true }),
    importOf('log/kafka-reader.ts', '@confluentinc/kafka-javascript', { isPackage: true }),
    importOf('ledger/commit.ts', 'testing/crash.ts'),
    importOf('record/walk.test.ts', 'fast-check', { isPackage: true }),
  ]
  const refused = [
    importOf('bytes/uuid.ts', 'errors.ts'),
    importOf('record/walk.ts', 'node:fs', { isPackage: true }),
    importOf('ledger/commit.ts', 'log/log.ts'),
    importOf('query/routes.ts', 'log/log.ts'),
    importOf('ingress/server.ts', 'ledger/queries.ts'),
    importOf('log/log.ts', 'worker/thread.ts'),
    importOf('worker/orchestrator.ts', 'main.ts'),
    importOf('worker/orchestrator.ts', '@confluentinc/kafka-javascript', { isPackage: true }),
  ]
  for (const each of allowed) assert.equal(brokenRule(each, ['fast-check']), undefined)
  for (const each of refused) assert.notEqual(brokenRule(each, []), undefined, JSON.stringify(each))
})

test('the client imports nothing but its own files', () => {
  none(
    client.flatMap((source) =>
      importsOf(source)
        .filter(({ value }) => value.isPackage || !value.to.startsWith('../client/src/'))
        .map(({ line, value }) => `src/${source.file}:${line} imports ${value.to}`),
    ),
  )
})

test('every module begins by saying what flows in, what flows out and what is absent', () => {
  const opening =
    /^(#!.*\n)?(\/\/ .*\n)+\/\/ In: .*\n(\/\/ .*\n)*\/\/ Out: .*\n(\/\/ .*\n)*\/\/ Absent: /
  const scripts = filesBelow('scripts', '.mjs').map((path) => ({
    path,
    text: readFileSync(join(root, path), 'utf8'),
  }))
  const modules = measured
    .filter(({ file }) => !file.endsWith('.test.ts'))
    .map(({ file, text }) => ({ path: `src/${file}`, text }))
  none(
    [...modules, ...scripts]
      .filter(({ text }) => !opening.test(text))
      .map(({ path }) => `${path}:1 does not begin with a comment of: sentence, In, Out, Absent`),
  )
})

test(`no line is longer than ${columnsMax} columns, except for an address or a test’s name`, () => {
  none(
    measured.flatMap(({ file, text }) =>
      linesOver(text, columnsMax).map(
        (line) => `src/${file}:${line} is over ${columnsMax} columns`,
      ),
    ),
  )
})

test(`no file is longer than ${fileLinesMax} lines`, () => {
  none(
    measured
      .map(({ file, text }) => ({ file, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > fileLinesMax)
      .map(({ file, lines }) => `src/${file}:${lines} has more than ${fileLinesMax} lines`),
  )
})

test(`no function is longer than ${functionLinesMax} lines`, () => {
  none(
    measured.flatMap((source) =>
      functionLengths(source, isTest(source.file))
        .filter(({ value }) => value > functionLinesMax)
        .map(
          ({ line, value }) =>
            `src/${source.file}:${line} function of ${value} lines, more than ${functionLinesMax}`,
        ),
    ),
  )
})

test('a long function is found, and a suite of short tests is not one', () => {
  const long = `function f() {\n${'  g()\n'.repeat(80)}}\n`
  const suite = `function f() {\n${'  test(() => {\n    g()\n  })\n'.repeat(60)}}\n`
  const longest = (text: string, withoutInner: boolean): number =>
    Math.max(...functionLengths(parse('a.ts', text), withoutInner).map(({ value }) => value))
  assert.equal(longest(long, true), 82)
  assert.equal(longest(suite, true), 62)
  assert.equal(longest(suite, false), 182)
})

test('nothing is of type any', () => {
  none(
    measured.flatMap((source) =>
      anyTypes(source).map((line) => `src/${source.file}:${line} any: say what it is, or unknown`),
    ),
  )
  assert.deepEqual(anyTypes(parse('a.ts', `let many = 'any'\nlet a: any\nf(b as any[])`)), [2, 3])
})

test('only config.ts reads the environment', () => {
  none(
    measured
      .filter(({ file }) => !/^config(\.test)?\.ts$/.test(file))
      .flatMap((source) =>
        environmentUses(source).map((line) => `src/${source.file}:${line} process.env`),
      ),
  )
  const uses = `f(process.env.A)\nconst { env } = process\ng(process.envy)`
  assert.deepEqual(environmentUses(parse('a.ts', uses)), [1, 2])
})

test('every relative link in the documentation leads somewhere', () => {
  none(
    filesBelow('.', '.md').flatMap((path) =>
      relativeLinks(readFileSync(join(root, path), 'utf8'))
        .filter(({ target }) => !existsSync(join(root, dirname(path), target)))
        .map(({ line, target }) => `${path}:${line} links to ${target}, which does not exist`),
    ),
  )
  const text = 'a [b](c.md#d) [e](https://f) `[g](h)`\n```\n[i](j)\n```\n![k](l.png)'
  assert.deepEqual(relativeLinks(text), [
    { line: 1, target: 'c.md' },
    { line: 5, target: 'l.png' },
  ])
})

function relativeLinks(markdown: string): { line: number; target: string }[] {
  let inCode = false
  return markdown.split('\n').flatMap((text, index) => {
    if (/^\s*(```|~~~)/.test(text)) inCode = !inCode
    if (inCode) return []
    const links = text.replace(/`[^`]*`/g, '').matchAll(/\]\(<?([^)>\s]+)[^)]*\)/g)
    return [...links]
      .map(([, target = '']) => target.replace(/#.*$/, ''))
      .filter((target) => target !== '' && !/^[a-z][a-z0-9+.-]*:/i.test(target))
      .map((target) => ({ line: index + 1, target }))
  })
}
