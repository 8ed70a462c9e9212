// The program's own source, compiled so that a simulated process can run it.
// In:  src/, and replacements: bounds made small, or a bug planted.
// Out: its parts, and worker/thread.ts to be run for each thread.
// Absent: any change to src/ on the disk; what the environment is (environment.ts).

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compileFunction } from 'node:vm'
import * as esbuild from 'esbuild'
import type { runUpkeep } from '../../worker/upkeep.ts'
import type { Appender } from '../../ingress/append.ts'
import type { Backlog } from '../../ingress/backlog.ts'
import type { ByteBudget } from '../../http/budget.ts'
import type { LedgerError } from '../../errors.ts'
import type { Orchestrator } from '../../worker/orchestrator.ts'
import { createEnvironment, environmentNames } from './environment.ts'
import type { ThreadModule } from './threads.ts'

const source = fileURLToPath(new URL('../../../src/', import.meta.url))

/** Put in the place of the one piece of text like it in a file below src/. */
export interface Replacement {
  file: string
  from: string
  to: string
}

/** What a process is put together from, as in program.ts. */
export interface Product {
  Orchestrator: typeof Orchestrator
  Appender: typeof Appender
  Backlog: typeof Backlog
  ByteBudget: typeof ByteBudget
  LedgerError: typeof LedgerError
  runUpkeep: typeof runUpkeep
  /** Runs worker/thread.ts with this as node:worker_threads. */
  runThread: (threadModule: ThreadModule) => void
}

/** By the paths that thread.ts imports them by. */
const threadImports = ['./applier.ts', '../observe/logger.ts', '../testing/crash.ts']

const threadExports = threadImports.map((path, index) => {
  return `export * as import${index} from './worker/${path}'`
})

const entry = `
${threadExports.join('\n')}
export { Orchestrator } from './worker/orchestrator.ts'
export { runUpkeep } from './worker/upkeep.ts'
export { Appender } from './ingress/append.ts'
export { Backlog } from './ingress/backlog.ts'
export { ByteBudget } from './http/budget.ts'
export { LedgerError } from './errors.ts'`

export const simulatedPartitions = 4

/** So small that every bound is met within a few records. The assertions of limits.ts hold. */
const smallBounds: readonly Replacement[] = [
  { file: 'record/layout.ts', from: 'partitionCount = 128', to: 'partitionCount = 4' },
  { file: 'limits.ts', from: 'slabBytes = 64 * kibibyte', to: 'slabBytes = 235' },
  { file: 'limits.ts', from: 'recordBytesMax = 1 * mebibyte', to: 'recordBytesMax = 256' },
  { file: 'limits.ts', from: 'ringBytes = 32 * mebibyte', to: 'ringBytes = 1024' },
  { file: 'limits.ts', from: 'readBytes = 2 * mebibyte', to: 'readBytes = 384' },
  { file: 'limits.ts', from: 'flushRowsMax = 262_144', to: 'flushRowsMax = 8' },
  { file: 'limits.ts', from: 'flushQuarantineMax = 64', to: 'flushQuarantineMax = 2' },
  { file: 'limits.ts', from: 'keySetSlots = 1024 * kibibyte', to: 'keySetSlots = 512' },
  { file: 'limits.ts', from: 'openLeafRows = 384 * kibibyte', to: 'openLeafRows = 64' },
]

export async function compileProduct(planted: readonly Replacement[] = []): Promise<Product> {
  const changed = applied([...smallBounds, ...planted])
  const loaded = new Set<string>()
  const plugin = changedFiles(changed, loaded)
  const environment = createEnvironment()
  const others = environmentNames.slice(1).map((name) => environment[name])
  const bundled = await bundle(entry, 'program', [plugin])
  const parts = bundled(environment.require, ...others) as Record<string, unknown>
  const runThread = await bundle(`import './worker/thread.ts'`, 'thread', [plugin, apart])
  for (const file of changed.keys()) assert(loaded.has(file), `${file} is in neither bundle`)
  const imports = threadImports.map((path, index) => [path, parts[`import${index}`]])
  const modules = Object.fromEntries(imports) as Record<string, unknown>
  return {
    ...(parts as unknown as Product),
    runThread: (threadModule) => {
      const required: Record<string, unknown> = { ...modules, 'node:worker_threads': threadModule }
      const require = (name: string): unknown => required[name] ?? environment.require(name)
      runThread(require, ...others)
    },
  }
}

/** Leaves what a thread imports out of its bundle: it is evaluated already. */
const apart: esbuild.Plugin = {
  name: 'apart',
  setup(build) {
    build.onResolve({ filter: /^\.\.?\// }, ({ path, importer }) => {
      return importer.endsWith('/worker/thread.ts') ? { path, external: true } : undefined
    })
  },
}

/** The text of each file that is changed. */
function applied(replacements: readonly Replacement[]): Map<string, string> {
  const texts = new Map<string, string>()
  for (const { file, from, to } of replacements) {
    const text = texts.get(file) ?? readFileSync(source + file, 'utf8')
    const found = text.split(from).length - 1
    assert.equal(found, 1, `${file}: expected this text once, found it ${found} times: ${from}`)
    texts.set(
      file,
      text.replace(from, () => to),
    )
  }
  return texts
}

function changedFiles(changed: ReadonlyMap<string, string>, loaded: Set<string>): esbuild.Plugin {
  return {
    name: 'changed files',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = path.slice(source.length)
        const contents = changed.get(file)
        if (contents === undefined) return undefined
        loaded.add(file)
        return { contents, loader: 'ts' }
      })
    },
  }
}

type Evaluate = (...values: unknown[]) => unknown

async function bundle(
  contents: string,
  name: string,
  plugins: esbuild.Plugin[],
): Promise<Evaluate> {
  const { outputFiles } = await esbuild.build({
    stdin: { contents, resolveDir: source, sourcefile: `${name}-entry.ts`, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'product',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    define: { 'import.meta.url': '"file:///simulated/artifact/threads.js"' },
    plugins,
    logLevel: 'error',
  })
  const code = `${outputFiles[0]?.text}\nreturn product`
  return compileFunction(code, [...environmentNames], {
    filename: `simulated-${name}.js`,
  }) as Evaluate
}
