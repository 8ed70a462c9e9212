// Compiles src/ into dist/.
// In:  src/, tsconfig.json.
// Out: dist/: one .js for each .ts, and every other file (SQL) as it is; nothing whose source is
//      gone.
// Absent: installing packages (setup.mjs), the executable (binary.mjs).

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { SetupError, main, root, runNode, say, tail } from './run.mjs'

const source = path.join(root, 'src')
const target = path.join(root, 'dist')
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
  const sources = filesBelow(source)
  const stamp = hashOf(sources)
  if (stamp === readStamp() && sources.every((file) => fs.existsSync(outputOf(file)))) return
  say('Building dist/ from src/.')
  fs.rmSync(stampFile, { force: true })
  // The compiler believes its own record, and would not write again what somebody deleted.
  if (sources.some((file) => !fs.existsSync(outputOf(file))))
    fs.rmSync(compilerState, { force: true })
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc')
  const { code, output } = await runNode([compiler, '-p', root])
  if (code !== 0) throw new SetupError(`The sources do not compile.\n${tail(output, 200)}`)
  for (const file of sources) if (!file.endsWith('.ts')) copy(file)
  removeOrphans(new Set(sources.map(outputOf)))
  fs.writeFileSync(stampFile, stamp)
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
  const settings = ['tsconfig.json', 'package-lock.json'].map((name) => path.join(root, name))
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

function outputOf(file) {
  return path.join(target, path.relative(source, file)).replace(/(?<!\.d)\.ts$/, '.js')
}

function copy(file) {
  fs.mkdirSync(path.dirname(outputOf(file)), { recursive: true })
  fs.copyFileSync(file, outputOf(file))
}

/** A compiled test whose source is gone would go on being run. */
function removeOrphans(outputs) {
  for (const file of filesBelow(target)) {
    const owner = file.replace(/\.map$/, '')
    if (!outputs.has(owner) && !kept.has(file)) fs.rmSync(file)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(build)
