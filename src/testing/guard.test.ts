import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Starts a process and makes a directory as a test would, tells of both, and waits to be killed.
 */
const careless = `
  import { spawn } from 'node:child_process'
  const { temporaryDirectory, watchGroup } = await import(process.argv[1])
  const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' })
  watchGroup(child.pid)
  console.log(JSON.stringify({ pid: child.pid, path: temporaryDirectory('guard').path }))
  setInterval(() => {}, 1000)
`

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a test that is killed leaves no process and no directory behind', async () => {
  const guard = join(import.meta.dirname, 'guard.js')
  const child = spawn(process.execPath, ['--input-type=module', '-e', careless, guard], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { pid, path } = JSON.parse(line) as { pid: number; path: string }
  assert(isAlive(pid))
  assert(existsSync(path))
  child.kill('SIGKILL')
  const deadline = Date.now() + 10_000
  while ((isAlive(pid) || existsSync(path)) && Date.now() < deadline) await delay(20)
  assert(!isAlive(pid), `expected process ${pid} to be gone`)
  assert(!existsSync(path), `expected ${path} to be gone`)
})
