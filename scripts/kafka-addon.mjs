// Makes the Kafka client's native addon usable: upstream's prebuilt binary, or a build from source.
// In:  node_modules/@confluentinc/kafka-javascript as npm unpacked it.
// Out: an addon that loads.
// Absent: any part in the embedded default, which runs without it.

import fs from 'node:fs'
import path from 'node:path'
import { npm } from './packages.mjs'
import { SetupError, root, run, runNode, say, tail } from './run.mjs'

const addonName = '@confluentinc/kafka-javascript'
const addon = path.join(root, 'node_modules', addonName)
const downloadMs = 120_000

/** Headers and programs a build from source needs, and the Debian packages that have them. */
const headers = {
  'openssl/ssl.h': 'libssl-dev',
  'zlib.h': 'zlib1g-dev',
  'zstd.h': 'libzstd-dev',
  'curl/curl.h': 'libcurl4-openssl-dev',
  'sasl/sasl.h': 'libsasl2-dev',
}
const programs = { 'g++': 'g++', make: 'make', python3: 'python3' }
/** Read and trim what goes into the executable; they come with the compiler on most systems. */
const executablePrograms = { readelf: 'binutils', strip: 'binutils' }

/** Loads it in a process of its own, because a broken addon can take its process along. */
export async function addonLoads() {
  const { code } = await runNode(['-e', `require(${JSON.stringify(addonName)})`])
  return code === 0
}

/**
 * Upstream's binary for this Node and system; false where there is none or it cannot be reached.
 */
export async function downloadAddon() {
  if (!fs.existsSync(addon)) {
    throw new SetupError(`${addonName} is not installed: npm left optional packages out.`)
  }
  say("Fetching the Kafka client's prebuilt addon.")
  const installer = path.join(root, 'node_modules/@mapbox/node-pre-gyp/bin/node-pre-gyp')
  await runNode([installer, 'install'], { cwd: addon, timeoutMs: downloadMs })
  return addonLoads()
}

/** Debian packages that are missing for a build from source. */
export async function missingBuildPackages() {
  const missing = await missingPrograms(programs)
  if (missing.includes('g++')) return [...missing, ...Object.values(headers)]
  for (const [header, name] of Object.entries(headers)) {
    const compile = ['-E', '-x', 'c++', '-include', header, '/dev/null', '-o', '/dev/null']
    if ((await run('g++', compile)).code !== 0) missing.push(name)
  }
  return missing
}

/** Debian packages that are missing for making the executable. */
export async function missingExecutablePackages() {
  return [...new Set(await missingPrograms(executablePrograms))]
}

async function missingPrograms(wanted) {
  const missing = []
  for (const [program, name] of Object.entries(wanted)) {
    if ((await run(program, ['--version'])).code !== 0) missing.push(name)
  }
  return missing
}

/** Whether the addon that is there was built here, with librdkafka beside it. */
export function addonWasBuiltHere() {
  return fs.existsSync(path.join(addon, 'build/deps/librdkafka.so.1'))
}

/** Builds librdkafka as a shared object beside the addon, from the sources in its npm package. */
export async function buildAddon() {
  say('No prebuilt addon can be had here. Building it from source: one to five minutes.')
  // Left by a build that was interrupted or linked otherwise, it would be taken for this one's.
  fs.rmSync(path.join(addon, 'deps/librdkafka/config.h'), { force: true })
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)))
  const hasHeaders = fs.existsSync(path.join(prefix, 'include/node/node.h'))
  const nodedir = hasHeaders ? [`--nodedir=${prefix}`] : []
  // `npm explore` finds the node-gyp that comes with npm, wherever that is.
  const compile = ['explore', addonName, '--', 'node-gyp', 'rebuild', ...nodedir]
  const { code, output } = await npm(compile, { env: { CKJS_LINKING: 'dynamic' } })
  const log = path.join(root, 'node_modules/.kafka-addon-build.log')
  fs.writeFileSync(log, output)
  if (code !== 0 || !(await addonLoads())) {
    throw new SetupError(
      `Building the Kafka addon failed; all of its output is in ${log}.\n${tail(output)}`,
    )
  }
  say('The Kafka addon is built and loads.')
}
