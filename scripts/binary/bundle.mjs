// Makes one script of the program, and one of each of its threads, packages included.
// In:  dist/, bench/, node_modules.
// Out: CommonJS sources, and the files that went into them.
// Absent: native addons (parts.mjs); here they become calls of artifact/native.ts.

import path from 'node:path'
import { SetupError, root } from '../run.mjs'

/** Entries of threads, as src/artifact/threads.ts is asked for them: one line for each. */
const threads = {
  'worker/thread': 'dist/worker/thread.js',
  'worker/chain-thread': 'dist/worker/chain-thread.js',
  'pool/thread': 'node_modules/piscina/dist/worker.js',
}

/** Modules that threads of a pool run, likewise. */
const tasks = ['ingress/decode-thread']

const nativeModule = path.join(root, 'dist/artifact/native.js')
const nativeAddon = (name) => `require(${JSON.stringify(nativeModule)}).nativeAddon('${name}')`

const threadsModule = path.join(root, 'dist/artifact/threads.js')
const startThread = (name) => `require(${JSON.stringify(threadsModule)}).startThread('${name}'`
const taskModules = tasks.map((name) => {
  const file = path.join(root, 'dist', `${name}.js`)
  return `${JSON.stringify(name)}: () => require(${JSON.stringify(file)})`
})

/**
 * Files that look for an addon, a thread, or themselves, on disk, and what stands there in the
 * executable: other `contents`, or a piece of text replaced. Each must be met, or upstream has
 * changed.
 */
const substitutions = [
  { file: 'uWebSockets.js/uws.js', contents: `module.exports = ${nativeAddon('uws')}` },
  {
    file: 'node-gyp-build-optional-packages/index.js',
    contents: `module.exports = () => ${nativeAddon('lmdb')}`,
  },
  { file: 'bindings/bindings.js', contents: `module.exports = () => ${nativeAddon('kafka')}` },
  // Without its addon msgpackr works as well; this program stores bytes and has no use for it.
  { file: 'msgpackr-extract/index.js', contents: `throw new Error('left out')` },
  {
    file: 'piscina/dist/worker_pool/index.js',
    replace: [
      'new node_worker_threads_1.Worker(filename, workerOpts)',
      `${startThread('pool/thread')}, workerOpts)`,
    ],
  },
  {
    file: 'piscina/dist/worker.js',
    replace: [
      '.then(s => __importStar(require(s)))',
      `.then((name) => ({ ${taskModules.join(', ')} })[name]())`,
    ],
  },
  // From a clone the package is optional, and the compiler is kept from looking for it.
  {
    file: 'dist/log/kafka-addon.js',
    replace: [
      'import(__rewriteRelativeImportExtension(packageName))',
      `import('@confluentinc/kafka-javascript')`,
    ],
  },
]

/** In CommonJS a script has no URL of its own; this one finds modules of Node, and no others. */
const banner = `const bundleUrl = require('node:url').pathToFileURL(process.execPath + '/bundle.cjs').href`

/** Resolves with `{ main, threads, inputs }`: sources by name, and paths relative to the root. */
export async function bundleAll() {
  const seen = new Set()
  const main = await bundle(path.join(root, 'scripts/binary/entry.mjs'), seen)
  const bundled = { main: main.source, threads: {}, inputs: new Set(main.inputs) }
  for (const [name, entry] of Object.entries(threads)) {
    const thread = await bundle(path.join(root, entry), seen)
    bundled.threads[name] = thread.source
    for (const input of thread.inputs) bundled.inputs.add(input)
  }
  const unmet = substitutions.filter((one) => !seen.has(one))
  if (unmet.length > 0) {
    const files = unmet.map(({ file }) => file).join(', ')
    throw new SetupError(`Expected ${files} among the files of the executable, found none.`)
  }
  return bundled
}

async function bundle(entry, seen) {
  const { build } = await import('esbuild')
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    absWorkingDir: root,
    platform: 'node',
    target: `node${process.versions.node}`,
    format: 'cjs',
    // Stacks in logs and bug reports stay readable.
    keepNames: true,
    legalComments: 'none',
    banner: { js: banner },
    define: { 'import.meta.url': 'bundleUrl' },
    // Optional, and an addon of its own; piscina wants it for priorities, which are not used.
    external: ['pg-native', '@napi-rs/nice'],
    logLevel: 'silent',
    plugins: [substitute(seen)],
  }).catch((error) => {
    throw new SetupError(`Bundling ${path.relative(root, entry)} failed.\n${error.message}`)
  })
  const loud = result.warnings.filter(({ id }) => id !== 'require-resolve-not-external')
  if (loud.length > 0) {
    const lines = loud.map(({ text, location }) => `${location?.file}:${location?.line} ${text}`)
    throw new SetupError(`Bundling ${path.relative(root, entry)}:\n${lines.join('\n')}`)
  }
  const isTheirs = (input) => !substitutions.some((one) => one.contents && input.endsWith(one.file))
  const inputs = Object.keys(result.metafile.inputs).filter(isTheirs)
  return { source: result.outputFiles[0].text, inputs }
}

function substitute(seen) {
  return {
    name: 'substitute',
    setup(esbuild) {
      for (const one of substitutions) {
        const filter = new RegExp(`/${one.file.replaceAll('.', '\\.')}$`)
        esbuild.onLoad({ filter }, async ({ path: file }) => {
          seen.add(one)
          return { contents: one.contents ?? (await replaced(file, one.replace)), loader: 'js' }
        })
      }
    },
  }
}

async function replaced(file, [from, to]) {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(file, 'utf8')
  const found = text.split(from).length - 1
  if (found !== 1) throw new Error(`${file}: expected \`${from}\` once, found it ${found} times`)
  return text.replace(from, to)
}
