import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../dist/postgres/cluster.js'

const run = promisify(execFile)
const cli = fileURLToPath(new URL('./cli.mjs', import.meta.url))

function scratch(t) {
  const directory = mkdtempSync(join(tmpdir(), 'bench-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function readReport(directory) {
  const [json] = readdirSync(directory).filter((name) => name.endsWith('.json'))
  return JSON.parse(readFileSync(join(directory, json), 'utf8'))
}

test('a run loads the real program, and every row is what was acknowledged', async (t) => {
  const out = scratch(t)
  const given = ['conflict', '--seconds', '3', '--warm-up', '1', '--out', out, '--directory', out]
  const { stdout } = await run(process.execPath, [cli, ...given, '--', '--workers', '1'])
  const { results, machine } = readReport(out)
  const [{ window, verification, latencies, answers, cpu, memory, disk, samples }] = results
  assert.match(stdout, /conflict +[\d,]+\/s/)
  assert.ok(machine.cores > 0 && machine.node === process.versions.node)
  assert.equal(verification.ok, true, verification.problems.join('\n'))
  assert.ok(verification.rows >= verification.expected && verification.expected > 0)
  assert.ok(verification.conflicts > 0, 'conflicts were sent and found')
  assert.ok(answers.acknowledged > 0)
  assert.ok(window.acceptedPerSecond > 0 && window.persistedPerSecond > 0)
  assert.ok(latencies.acknowledged.p50 > 0 && latencies.visible.count > 0)
  assert.ok(cpu.program > 0 && cpu.postgres > 0 && cpu.load > 0)
  assert.ok(memory.program > 0 && memory.postgres > 0)
  assert.ok(disk.tables > 30 && disk.wal > 0 && disk.log > 40)
  assert.ok(samples.length > 5)
  const [html] = readdirSync(out).filter((name) => name.endsWith('.html'))
  assert.match(readFileSync(join(out, html), 'utf8'), /Verified through tables/)
})

test('a deployment that does not answer is a failed run, not an empty one', async (t) => {
  const out = scratch(t)
  const url = `http://127.0.0.1:${await freePort()}`
  const given = ['steady', '--url', url, '--seconds', '1', '--out', out]
  const failed = await run(process.execPath, [cli, ...given]).catch((error) => error)
  assert.equal(failed.code, 1)
  assert.match(
    readReport(out).results[0].failure,
    /metrics: expected an answer, found ECONNREFUSED/,
  )
})

test('a bad command line ends with what was expected', async () => {
  const failed = await run(process.execPath, [cli, 'nonsense']).catch((error) => error)
  assert.equal(failed.code, 2)
  assert.match(failed.stderr, /Expected one of the scenarios .*; found nonsense\./)
})
