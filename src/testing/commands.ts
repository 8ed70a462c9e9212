// Commands of the program, run as an operator would run them.
// In:  words and flags; where to die.
// Out: exit code or signal, and what was printed.
// Absent: the program serving (program.ts).

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../main.js', import.meta.url))

export interface CommandEnd {
  /** The signal's name where one ended it. */
  code: number | string
  out: string
  err: string
}

/** @param crashAt a crash point to die at */
export async function runCommand(argv: readonly string[], crashAt?: string): Promise<CommandEnd> {
  const more = crashAt === undefined ? {} : { env: { CRASH_AT: crashAt } }
  const child = spawn(process.execPath, [main, ...argv], more)
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { code: code ?? signal ?? 'nothing', ...said }
}
