// Brings a fresh clone to the point where the program runs, and does nothing when it is there
// already.
// In:  --kafka: the Kafka addon as well; --tests: everything the tests need.
// Out: node_modules, dist/, and with those flags the addon, Java and Maven.
// Absent: anything but modules of Node itself, since nothing else is installed yet.

import { pathToFileURL } from 'node:url'
import { build } from './build.mjs'
import { installDebianPackages } from './debian.mjs'
import {
  addonLoads,
  addonWasBuiltHere,
  buildAddon,
  downloadAddon,
  missingBuildPackages,
  missingExecutablePackages,
} from './kafka-addon.mjs'
import { installPackages } from './packages.mjs'
import { SetupError, main, run } from './run.mjs'

const nodeMin = [20, 19]
const javaMin = 17

/**
 * `kafka` for a program that talks to Kafka; `tests` for all the tests: the addon, and a Kafka to
 * talk to; `executable` for making the executable, which holds the addon; `clock` for programs
 * whose clock is moved.
 */
export async function setUp({
  kafka = false,
  tests = false,
  executable = false,
  clock = false,
} = {}) {
  checkNode()
  await installPackages()
  if (kafka || tests || executable) await setUpKafka({ tests, executable })
  if (clock) await setUpClock()
  await build()
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1])) return
  throw new SetupError(
    `Node ${nodeMin.join('.')} or later is needed; this is ${process.versions.node}.`,
  )
}

async function setUpKafka({ tests, executable }) {
  const needsBuild = !(await addonLoads()) && !(await downloadAddon())
  // The executable's own librdkafka is built from source where the addon was.
  const compiles = needsBuild || ((executable || tests) && addonWasBuiltHere())
  const forBuild = compiles ? await missingBuildPackages() : []
  const forExecutable = executable || tests ? await missingExecutablePackages() : []
  const forTests = tests ? await missingTestPackages() : []
  const reason = tests ? 'to run the tests against a real Kafka' : 'to build the Kafka client'
  await installDebianPackages([...forBuild, ...forExecutable, ...forTests], reason)
  if (needsBuild) await buildAddon()
}

/** Whoever may not install it does without, and is told so where a clock would be moved. */
async function setUpClock() {
  if ((await run('dpkg', ['-s', 'libfaketime'])).code === 0) return
  try {
    await installDebianPackages(['libfaketime'], 'to move the clocks of programs under test')
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
  }
}

/** The Kafka broker is a Java program, which Maven fetches. */
async function missingTestPackages() {
  const java = await run('java', ['-version'])
  const version = Number(/version "(\d+)/.exec(java.output)?.[1] ?? 0)
  const maven = await run('mvn', ['-version'])
  return [
    ...(version < javaMin ? ['default-jre-headless'] : []),
    ...(maven.code === 0 ? [] : ['maven']),
  ]
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const flags = process.argv.slice(2)
  await main(async () => {
    const unknown = flags.find((flag) => flag !== '--kafka' && flag !== '--tests')
    if (unknown !== undefined)
      throw new SetupError(`Expected --kafka or --tests, found ${unknown}.`)
    await setUp({ kafka: flags.includes('--kafka'), tests: flags.includes('--tests') })
  })
}
