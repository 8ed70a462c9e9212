// Runs other programs for the scripts here, and ends them when the script itself is ended.
// In:  a command line.
// Out: its exit code and what it printed.
// Absent: a shell.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The repository, with a trailing slash. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** Something that the person at the keyboard has to know or do; its message is all they see. */
export class SetupError extends Error {}

export function say(sentence) {
  process.stderr.write(`${sentence}\n`)
}

/**
 * Runs `body`, prints the message of a SetupError instead of a stack trace, and sets the exit code.
 */
export async function main(body) {
  try {
    await body()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    say(`\n${error.message}`)
    process.exitCode = 1
  }
}

/**
 * Resolves with `{ code, output }`. Output is collected, or shown when `show` is set. A program
 * that cannot be started
 * has code 127, one that was ended by a signal or by `timeoutMs` has code 1.
 */
export function run(command, args, { cwd = root, env = {}, show = false, timeoutMs = 0 } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
    timeout: timeoutMs,
  })
  let output = ''
  const collect = (chunk) => (output += chunk)
  child.stdout?.setEncoding('utf8').on('data', collect)
  child.stderr?.setEncoding('utf8').on('data', collect)
  return untilEnd(child).then((code) => ({ code, output }))
}

function untilEnd(child) {
  return new Promise((resolve) => {
    const pass = (signal) => {
      child.kill(signal)
      process.exit(signal === 'SIGINT' ? 130 : 143)
    }
    process.once('SIGINT', pass).once('SIGTERM', pass)
    const end = (code) => {
      process.off('SIGINT', pass).off('SIGTERM', pass)
      resolve(code)
    }
    child.once('error', () => end(127))
    child.once('close', (code) => end(code ?? 1))
  })
}

/** Runs a JavaScript program with this very Node. */
export function runNode(args, options) {
  return run(process.execPath, args, options)
}

/** The end of a long output, where the error usually stands. */
export function tail(output, lines = 40) {
  return output.trimEnd().split('\n').slice(-lines).join('\n')
}
