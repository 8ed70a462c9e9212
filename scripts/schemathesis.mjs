// npm run schemathesis: lets Schemathesis (PyPI) look for requests that the program answers other
// than its OpenAPI document says.
// In:  dist/; Python 3 with venv; words for `st run` after the script's name.
// Out: Schemathesis' report; exit code 1 if it found a failure.
// Absent: what is expected of which operation (schemathesis.toml, the document itself).

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { installDebianPackages } from './debian.mjs'
import { SetupError, main, root, run, say, tail } from './run.mjs'
import { setUp } from './setup.mjs'

const version = '4.32.5'
const environment = path.join(root, 'node_modules/.cache', `schemathesis-${version}`)
const tool = path.join(environment, 'bin/st')

/** Debian packages that are missing for a virtual environment of Python. */
export async function missingPythonPackages() {
  const { code } = await run('python3', ['-c', 'import ensurepip, venv'])
  return code === 0 ? [] : ['python3', 'python3-venv']
}

export async function installSchemathesis() {
  if (fs.existsSync(tool)) return
  await installDebianPackages(await missingPythonPackages(), 'to run Schemathesis')
  say(`Installing Schemathesis ${version} from PyPI.`)
  fs.rmSync(environment, { recursive: true, force: true })
  await step(run('python3', ['-m', 'venv', environment]))
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
  const python = path.join(environment, 'bin/python')
  await step(run(python, [...pip, `schemathesis==${version}`]))
}

async function step(running) {
  const { code, output } = await running
  if (code !== 0) throw new SetupError(`Installing Schemathesis failed.\n${tail(output)}`)
}

/** Starts the program on a directory of its own; resolves once it is ready. */
async function startProgram(directory) {
  const flags = ['--listen', '127.0.0.1:0', '--data-dir', directory, '--log-format', 'json']
  const child = spawn(process.execPath, [path.join(root, 'dist/main.js'), ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, listen } = JSON.parse(line)
    if (msg !== 'ready') continue
    child.stdout.resume()
    return { child, url: `http://${listen}` }
  }
  throw new SetupError('The program ended before it was ready.')
}

/** So that the accounts of the examples exist. */
async function takeExamples(url) {
  const document = await (await fetch(`${url}/openapi.json`)).json()
  const { content } = document.paths['/v1/transactions'].post.requestBody
  const reply = await fetch(`${url}/v1/transactions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(content['application/json'].example),
  })
  if (!reply.ok) throw new SetupError(`The example batch was answered ${reply.status}.`)
}

async function test(words) {
  await setUp()
  await installSchemathesis()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'ledger-schemathesis-'))
  const { child, url } = await startProgram(directory)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  try {
    await takeExamples(url)
    const config = path.join(root, 'scripts/schemathesis.toml')
    const flags = ['--checks', 'all', '--max-examples', '30', '--seed', '1', '--no-color']
    const args = ['--config-file', config, 'run', `${url}/openapi.json`, ...flags, ...words]
    const { code } = await run(tool, args, { cwd: directory, show: true })
    if (child.exitCode !== null) throw new SetupError('The program ended under the test.')
    return code
  } finally {
    child.kill('SIGTERM')
    await ended
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    process.exitCode = await test(process.argv.slice(2))
  })
}
