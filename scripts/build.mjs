// Compiles src/ into dist/, and client/src/ into dist/client/, where the program finds its client.
// In:  src/, client/src/, tsconfig.json of both.
// Out: dist/: one .js for each .ts, and every other file (SQL) as it is; nothing whose source is
//      gone.
// Absent: installing packages (setup.mjs), the executable (binary.mjs).

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { SetupError, main, root, runNode, say, tail } from './run.mjs'

const target = path.join(root, 'dist')
const program = { source: path.join(root, 'src'), target }
const client = { source: path.join(root, 'client/src'), target: path.join(target, 'client') }
const stampFile = path.join(target, '.sources')
const compilerState = path.join(target, '.tsbuildinfo')
/** Made by others: the compiler's record; the executable and its stamp (binary.mjs). */
const kept = new Set([
  compilerState,
  path.join(target, 'transaction-ledger'),
  path.join(target, '.executable'),
])

/**
 * Builds when the content of a source changed since the last build. Times say nothing after a
 * checkout.
 */
export async function build() {
  const sources = [program, client].flatMap((room) => filesBelow(room.source))
  const stamp = hashOf(sources)
  const outputs = new Set(sources.flatMap(outputsOf))
  const isComplete = [...outputs].every((file) => fs.existsSync(file))
  if (stamp === readStamp() && isComplete) return
  say('Building dist/ from src/ and client/.')
  fs.rmSync(stampFile, { force: true })
  // The compiler believes its own record, and would not write again what somebody deleted.
  if (!isComplete) fs.rmSync(compilerState, { force: true })
  await compile('-p', path.join(root, 'client'), '--outDir', client.target)
  await compile('-p', root)
  for (const file of sources) if (!file.endsWith('.ts')) copy(file)
  removeOrphans(outputs)
  fs.writeFileSync(stampFile, stamp)
}

async function compile(...flags) {
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc')
  const { code, output } = await runNode([compiler, ...flags])
  if (code !== 0) throw new SetupError(`The sources do not compile.\n${tail(output, 200)}`)
}

function filesBelow(directory) {
  if (!fs.existsSync(directory)) return []
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort()
}

function hashOf(sources) {
  const hash = createHash('sha256')
  const settings = ['tsconfig.json', 'client/tsconfig.json', 'package-lock.json'].map((name) =>
    path.join(root, name),
  )
  for (const file of [...sources, ...settings]) {
    hash
      .update(`${path.relative(root, file)}\0`)
      .update(fs.readFileSync(file))
      .update('\0')
  }
  return hash.digest('hex')
}

function readStamp() {
  return fs.existsSync(stampFile) ? fs.readFileSync(stampFile, 'utf8') : ''
}

/** Of the client also the declarations, which the program is compiled against. */
function outputsOf(file) {
  const isClient = file.startsWith(client.source + path.sep)
  const room = isClient ? client : program
  const output = path.join(room.target, path.relative(room.source, file))
  if (!file.endsWith('.ts')) return [output]
  const compiled = output.replace(/(?<!\.d)\.ts$/, '.js')
  return isClient ? [compiled, output.replace(/\.ts$/, '.d.ts')] : [compiled]
}

function copy(file) {
  const [output] = outputsOf(file)
  fs.mkdirSync(path.dirname(output), { recursive: true })
  fs.copyFileSync(file, output)
}

/** A compiled test whose source is gone would go on being run. */
function removeOrphans(outputs) {
  for (const file of filesBelow(target)) {
    const owner = file.replace(/\.map$/, '')
    if (!outputs.has(owner) && !kept.has(file)) fs.rmSync(file)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(build)
