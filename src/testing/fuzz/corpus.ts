// The inputs that are kept: one for each branch that was reached, and each that ever failed.
// In:  the name of a target.
// Out: its inputs, and their text as it stands in a file.
// Absent: finding new ones (grow.ts).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One input a line, a JSON string whose characters are bytes. */
export function corpusText(inputs: readonly Uint8Array[]): string {
  return inputs.map((input) => `${shownInput(input)}\n`).join('')
}

export function shownInput(input: Uint8Array): string {
  const text = JSON.stringify(Buffer.from(input).toString('latin1'))
  return text.replace(/[\x7f-\xff]/g, (character) => {
    return `\\u00${character.charCodeAt(0).toString(16)}`
  })
}

/** Compiled, it stands beside this file as it does in the sources. */
export function readCorpus(target: string): Uint8Array[] {
  const lines = readFileSync(join(import.meta.dirname, 'corpus', `${target}.txt`), 'utf8').split(
    '\n',
  )
  return lines
    .filter((line) => line !== '')
    .map((line) => Buffer.from(JSON.parse(line) as string, 'latin1'))
}
