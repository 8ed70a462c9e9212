// npm run build: makes dist/transaction-ledger, one executable that needs no Node and no packages.
// In:  src/, bench/, node_modules, this very Node; the commit, from Git or from --commit.
// Out: dist/transaction-ledger.
// Absent: which files go into it (binary/bundle.mjs, binary/parts.mjs, binary/licenses.mjs).

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { bundleAll } from './binary/bundle.mjs'
import { licensesText } from './binary/licenses.mjs'
import { pack } from './binary/pack.mjs'
import { collectParts } from './binary/parts.mjs'
import { SetupError, main, root, run, runNode, say, tail } from './run.mjs'
import { setUp } from './setup.mjs'

export const executable = path.join(root, 'dist/transaction-ledger')
const stampFile = path.join(root, 'dist/.executable')
/** Node looks for its blob by this mark, which postject overwrites. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/** Builds it unless it is there and made of the same things. */
export async function buildExecutable({ commit } = {}) {
  if (process.platform !== 'linux') throw new SetupError('The executable is built on Linux only.')
  await setUp({ executable: true })
  const bundled = await bundleAll()
  const parts = await collectParts()
  const facts = describe(parts, commit ?? (await commitOfClone()))
  const licenses = await licensesText(bundled.inputs, parts)
  const stamp = stampOf(bundled, parts, facts, licenses)
  if (stamp === readStamp()) return
  say('Building dist/transaction-ledger.')
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'executable-'))
  try {
    const assets = { ...texts(facts.texts), 'licenses.txt': licenses }
    const archives = parts.map(pack)
    for (const { archive, content } of archives) assets[`archives/${archive.name}`] = content
    for (const [name, source] of Object.entries(bundled.threads)) {
      assets[`threads/${name}.js`] = source
    }
    const build = { ...facts, archives: archives.map(({ archive }) => archive) }
    assets['build.json'] = JSON.stringify(build)
    await inject(scratch, bundled.main, assets)
  } finally {
    fs.rmSync(scratch, { recursive: true })
  }
  fs.writeFileSync(stampFile, stamp)
}

/** Writes the executable aside, and gives it its name once it has answered. */
async function inject(scratch, source, assets) {
  const files = {}
  for (const [name, content] of Object.entries(assets)) {
    files[name] = path.join(scratch, String(Object.keys(files).length))
    fs.writeFileSync(files[name], content)
  }
  const config = {
    main: path.join(scratch, 'main.js'),
    output: path.join(scratch, 'blob'),
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    assets: files,
  }
  fs.writeFileSync(config.main, source)
  fs.writeFileSync(path.join(scratch, 'sea.json'), JSON.stringify(config))
  await step(runNode(['--experimental-sea-config', path.join(scratch, 'sea.json')]))
  const draft = path.join(scratch, 'transaction-ledger')
  fs.copyFileSync(process.execPath, draft)
  fs.chmodSync(draft, 0o755)
  // Symbols of functions inside Node that nothing looks up.
  await step(run('strip', ['--strip-unneeded', draft]))
  const postject = path.join(root, 'node_modules/postject/dist/cli.js')
  const flags = ['--sentinel-fuse', fuse]
  await step(runNode([postject, draft, 'NODE_SEA_BLOB', config.output, ...flags]))
  await step(run(draft, ['--version'], { cwd: scratch }))
  const aside = `${executable}.new`
  fs.copyFileSync(draft, aside)
  fs.renameSync(aside, executable)
}

async function step(running) {
  const { code, output } = await running
  if (code !== 0) throw new SetupError(`Making the executable failed.\n${tail(output)}`)
}

function describe(parts, commit) {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  const components = Object.assign({}, ...parts.map(({ versions }) => versions))
  const dist = path.join(root, 'dist')
  const texts = fs
    .readdirSync(path.join(dist, 'ledger/schema'))
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => `ledger/schema/${name}`)
  return { version, ...(commit && { commit }), components, texts }
}

function texts(names) {
  return Object.fromEntries(
    names.map((name) => [`texts/${name}`, fs.readFileSync(path.join(root, 'dist', name))]),
  )
}

/** Undefined where this is no clone; with a plus where it differs from what is committed. */
async function commitOfClone() {
  const { code, output } = await run('git', ['rev-parse', '--short=12', 'HEAD'])
  if (code !== 0) return undefined
  const changed = await run('git', ['status', '--porcelain', '--untracked-files=no'])
  return output.trim() + (changed.code === 0 && changed.output.trim() === '' ? '' : '+')
}

/** Sizes and times stand for the parts, which come from packages of exact versions. */
function stampOf(bundled, parts, facts, licenses) {
  const hash = createHash('sha256').update(JSON.stringify([process.version, facts, licenses]))
  for (const source of [bundled.main, ...Object.values(bundled.threads)]) hash.update(source)
  for (const file of parts.flatMap(({ files }) => files)) {
    const { size, mtimeMs } = fs.statSync(file.source)
    hash.update(JSON.stringify([file, size, mtimeMs]))
  }
  for (const [name, text] of Object.entries(texts(facts.texts))) hash.update(name).update(text)
  for (const file of ['binary.mjs', 'binary/pack.mjs']) {
    hash.update(fs.readFileSync(path.join(root, 'scripts', file)))
  }
  return hash.digest('hex')
}

function readStamp() {
  const isThere = fs.existsSync(executable) && fs.existsSync(stampFile)
  return isThere ? fs.readFileSync(stampFile, 'utf8') : ''
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    const { values } = parseArgs({ options: { commit: { type: 'string' } } })
    await buildExecutable({ commit: values.commit || process.env.COMMIT || undefined })
    const megabytes = Math.round(fs.statSync(executable).size / 1e6)
    say(`${path.relative(process.cwd(), executable)}: ${megabytes} MB.`)
  })
}
