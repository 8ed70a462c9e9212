// npm run check: types, lint, format, dead code, generated code.
// In:  the working tree.
// Out: one line for each check, with what it found; exit code 1 if anything failed.
// Absent: the tests (test.mjs).

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { compareContract } from './client-contract.mjs'
import { main, root, run, runNode, say } from './run.mjs'
import { setUp } from './setup.mjs'

const tools = {
  lint: ['eslint/bin/eslint.js', '.'],
  format: ['prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'],
  'dead code': ['knip/bin/knip.js', '--no-progress'],
}

/**
 * Names of the checks that failed; their findings are printed. The build before them has checked
 * the types.
 */
export async function runChecks() {
  const checks = Object.entries(tools).map(([name, [tool, ...args]]) => ({
    name,
    finding: runNode([path.join(root, 'node_modules', tool), ...args]),
  }))
  checks.push({ name: 'generated code', finding: compareGenerated() })
  checks.push({ name: "client's contract", finding: compareContract() })
  const failed = []
  for (const { name, finding } of checks) {
    const { code, output } = await finding
    say(`check ${name}: ${code === 0 ? 'ok' : `failed\n${output}`}`)
    if (code !== 0) failed.push(name)
  }
  return failed
}

/** Generates the protobuf code anew, elsewhere, and compares. */
async function compareGenerated() {
  const elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), 'generated-'))
  try {
    const buf = path.join(root, 'node_modules/.bin/buf')
    const generated = await run(buf, [
      'generate',
      '--template',
      'proto/buf.gen.yaml',
      'proto',
      '-o',
      elsewhere,
    ])
    if (generated.code !== 0) return generated
    return compareTrees(elsewhere)
  } finally {
    fs.rmSync(elsewhere, { recursive: true })
  }
}

function compareTrees(elsewhere) {
  const files = fs
    .readdirSync(elsewhere, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(elsewhere, path.join(entry.parentPath ?? entry.path, entry.name)))
  const stale = files.filter((file) => {
    const ours = path.join(root, file)
    const theirs = fs.readFileSync(path.join(elsewhere, file), 'utf8')
    return !fs.existsSync(ours) || fs.readFileSync(ours, 'utf8') !== theirs
  })
  if (files.length > 0 && stale.length === 0) return { code: 0, output: '' }
  const output = `Not what \`npm run generate\` makes of proto/: ${stale.join(', ') || 'nothing'}\n`
  return { code: 1, output }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    await setUp()
    if ((await runChecks()).length > 0) process.exitCode = 1
  })
}
