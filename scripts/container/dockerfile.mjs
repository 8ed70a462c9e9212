// Reads a Dockerfile as far as ours goes.
// In:  its text; that of .dockerignore.
// Out: stages with their instructions; the files that COPY . would see.
// Absent: running anything (layers.mjs).

import fs from 'node:fs'
import path from 'node:path'
import { SetupError } from '../run.mjs'

/** Lines that belong together are joined, and comments between them left out, as Docker does it. */
function instructions(text) {
  const joined = text
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join('\n')
    .replaceAll(/\\\n/g, '')
  return joined.split('\n').map((line) => {
    const [, keyword, rest] = /^\s*([A-Z]+)\s+(.*)$/s.exec(line) ?? []
    if (keyword === undefined) throw new SetupError(`Dockerfile: not an instruction: ${line}`)
    return { keyword, rest: rest.trim() }
  })
}

/** `[{ base, name, steps: [{ keyword, flags, words, rest }] }]`, in their order. */
export function readStages(text) {
  const stages = []
  for (const { keyword, rest } of instructions(text)) {
    if (keyword === 'FROM') {
      const [base, , name] = rest.split(/\s+/)
      stages.push({ base, name, steps: [] })
      continue
    }
    const { flags, body } = readFlags(rest)
    stages.at(-1).steps.push({ keyword, flags, rest: body, words: body.split(/\s+/) })
  }
  return stages
}

function readFlags(rest) {
  const flags = {}
  let body = rest
  for (;;) {
    const [whole, name, value] = /^--([a-z-]+)=(\S+)\s+/.exec(body) ?? []
    if (whole === undefined) return { flags, body }
    flags[name] = value
    body = body.slice(whole.length)
  }
}

/** `A=b C="d e"` → object. */
export function readPairs(rest) {
  const pairs = [...rest.matchAll(/([A-Za-z_][\w.]*)=("([^"]*)"|\S*)/g)]
  return Object.fromEntries(pairs.map(([, name, bare, quoted]) => [name, quoted ?? bare]))
}

/** Names at the top of the context that .dockerignore lets through; it must be a list of those. */
export function contextEntries(context) {
  const lines = fs.readFileSync(path.join(context, '.dockerignore'), 'utf8').split('\n')
  const patterns = lines.filter((line) => line !== '' && !line.startsWith('#'))
  if (patterns[0] !== '*' || !patterns.slice(1).every((line) => /^![\w./-]+$/.test(line))) {
    throw new SetupError('.dockerignore: expected * and then paths behind an exclamation mark.')
  }
  return patterns.slice(1).map((line) => line.slice(1))
}
