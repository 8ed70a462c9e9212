// The program under load, as a child process.
// In:  flags.
// Out: its address, its database, its counters; its end.
// Absent: the program's code.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** Starts the program and resolves once it is ready. */
export async function startProgram(flags, { nodeFlags = [] } = {}) {
  const argv = [...nodeFlags, main, '--listen', '127.0.0.1:0', '--log-format', 'json', ...flags]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ready = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = line.startsWith('{') ? JSON.parse(line) : {}
      if (entry.msg === 'ready') resolve(entry)
      if (['warn', 'error', 'fatal'].includes(entry.level)) console.error(line)
    })
    child.once('exit', (code) => {
      reject(new Error(`the program ended with code ${code}`))
    })
  })
  const { listen, databaseUrl, postgresPid } = await ready
  return {
    pid: child.pid,
    url: `http://${listen}`,
    databaseUrl,
    postgresPid,
    async counters() {
      const text = await (await fetch(`http://${listen}/metrics`)).text()
      const value = (name) => {
        const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))]
        return values.reduce((sum, match) => sum + Number(match[1]), 0)
      }
      return {
        accepted: value('ledger_accepted_transactions_total'),
        persisted: value('ledger_persisted_transactions_total'),
        lag: value('ledger_lag_records'),
        flushes: value('ledger_flushes_total'),
        records: value('ledger_appended_records_total'),
      }
    },
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}
