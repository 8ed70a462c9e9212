// Does what the Dockerfile says on a machine without a container engine, and runs the result.
// In:  a directory to work in; --executable FILE: leave out the stage that builds, and use this one.
// Out: the files that the image would have, in DIRECTORY/image; exit code 1 if it does not run.
// Absent: the base images. Debian's comes from debootstrap, Node's is that and this very Node.

import fs from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { readStages } from './container/dockerfile.mjs'
import { applyStage } from './container/layers.mjs'
import { tryImage } from './container/trial.mjs'
import { SetupError, main, root, run, say } from './run.mjs'

const release = 'bookworm'
const mirror = 'http://deb.debian.org'
const sources = `deb ${mirror}/debian ${release} main
deb ${mirror}/debian ${release}-updates main
deb ${mirror}/debian-security ${release}-security main
`

/** Those that this machine trusts, which may not be Debian's own. */
const certificates = '/etc/ssl/certs/ca-certificates.crt'

/** Debian's smallest set of packages; debian:12-slim is that, without documentation. */
async function debian(directory) {
  const pristine = `${directory}.base`
  if (!fs.existsSync(path.join(pristine, 'etc/debian_version'))) {
    say(`Making ${pristine} with debootstrap.`)
    const { code, output } = await run('debootstrap', ['--variant=minbase', release, pristine])
    if (code !== 0) throw new SetupError(`debootstrap failed.\n${output}`)
  }
  fs.rmSync(directory, { recursive: true, force: true })
  const { code } = await run('cp', ['-a', pristine, directory])
  if (code !== 0) throw new SetupError(`${pristine} cannot be copied.`)
  fs.writeFileSync(path.join(directory, 'etc/apt/sources.list'), sources)
  fs.closeSync(fs.openSync(path.join(directory, 'etc/resolv.conf'), 'a'))
}

/** Where the image of Node has it; and headers where npm's settings of this machine may say. */
function addNode(directory) {
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)))
  const local = path.join(directory, 'usr/local')
  fs.cpSync(process.execPath, path.join(local, 'bin/node'))
  for (const part of ['lib/node_modules/npm', 'include/node']) {
    const source = path.join(prefix, part)
    if (fs.existsSync(source)) fs.cpSync(source, path.join(local, part), { recursive: true })
  }
  const licences = ['LICENSE', 'share/doc/nodejs/LICENSE', 'share/doc/nodejs/copyright']
  const licence = licences
    .map((file) => path.join(prefix, file))
    .find((file) => fs.existsSync(file))
  if (licence !== undefined) fs.copyFileSync(licence, path.join(local, 'LICENSE'))
  const headers = path.join(directory, prefix, 'include/node')
  if (!fs.existsSync(headers)) {
    fs.mkdirSync(path.dirname(headers), { recursive: true })
    fs.symlinkSync('/usr/local/include/node', headers)
  }
  fs.symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', path.join(local, 'bin/npm'))
  fs.writeFileSync(path.join(directory, 'root/.npmrc'), '')
  if (!fs.existsSync(certificates)) return
  fs.mkdirSync(path.join(directory, path.dirname(certificates)), { recursive: true })
  fs.copyFileSync(certificates, path.join(directory, certificates))
}

/** Files as the stage that builds leaves them; with an executable at hand, only those it hands on. */
async function buildStage(stage, directory, executable) {
  if (executable === undefined) {
    await debian(directory)
    addNode(directory)
    const env = { NODE_EXTRA_CA_CERTS: certificates }
    await applyStage(stage, { directory, context: root, from: {}, env })
    return
  }
  const out = path.join(directory, 'out')
  fs.mkdirSync(out, { recursive: true })
  fs.copyFileSync(executable, path.join(out, 'transaction-ledger'))
  fs.copyFileSync(path.join(root, 'LICENSE'), path.join(out, 'LICENSE'))
  const { code, output } = await run(executable, ['--licenses'])
  if (code !== 0) throw new SetupError(`${executable} --licenses failed.\n${output}`)
  fs.writeFileSync(path.join(out, 'licenses.txt'), output)
}

await main(async () => {
  const { values, positionals } = parseArgs({
    options: { executable: { type: 'string' } },
    allowPositionals: true,
  })
  if (positionals.length !== 1 || process.getuid() !== 0) {
    throw new SetupError('As root: node scripts/container-layers.mjs DIRECTORY [--executable FILE]')
  }
  const work = path.resolve(positionals[0])
  fs.mkdirSync(work, { recursive: true })
  const [build, final] = readStages(fs.readFileSync(path.join(root, 'Dockerfile'), 'utf8'))
  const built = path.join(work, 'build')
  await buildStage(build, built, values.executable)
  const image = path.join(work, 'image')
  await debian(image)
  const settings = await applyStage(final, {
    directory: image,
    context: root,
    from: { [build.name]: built },
  })
  const data = fs.mkdtempSync(path.join(work, 'data-'))
  await tryImage(image, settings, data)
})
