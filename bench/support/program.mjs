// The program under load, as a child process.
// In:  its command line.
// Out: its address, its database; its end, orderly or not.
// Absent: the program's code.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/**
 * Starts the program and resolves once it is ready.
 *
 * @param {string[]} command such as `['node', 'dist/main.js']`
 * @param {string[]} flags
 */
export async function startProgram(command, flags, { listen = '127.0.0.1:0' } = {}) {
  const [file, ...args] = [...command, '--listen', listen, '--log-format', 'json', ...flags]
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const errors = []
  const lines = createInterface({ input: child.stdout })
  createInterface({ input: child.stderr }).on('line', (line) => {
    errors.push(line)
    if (errors.length > 20) errors.shift()
  })
  const exited = once(child, 'exit')
  const ready = new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const entry = line.startsWith('{') ? JSON.parse(line) : {}
      if (entry.msg === 'ready') resolve(entry)
      if (['error', 'fatal'].includes(entry.level)) errors.push(line)
      if (['error', 'fatal'].includes(entry.level)) console.error(line)
    })
    child.once('error', (error) => {
      reject(new Error(`${command.join(' ')} could not be started: ${error.message}`))
    })
    child.once('exit', (code, signal) => {
      const reason = signal ?? `code ${code}`
      reject(new Error([`${command.join(' ')} ended with ${reason}`, ...errors].join('\n')))
    })
  })
  const { listen: address, databaseUrl, postgresPid } = await ready
  return {
    pid: child.pid,
    url: `http://${address}`,
    databaseUrl,
    postgresPid,
    get isRunning() {
      return child.exitCode === null && child.signalCode === null
    },
    /** Ends it as kill -9 does. */
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
