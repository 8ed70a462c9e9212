import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { importGroupBytesMax, importLineBytesMax } from '../../limits.ts'
import { groupsOf, type LineGroup } from './lines.ts'

async function read(chunks: readonly Buffer[], linesMax = 3): Promise<LineGroup[]> {
  const groups: LineGroup[] = []
  const start = { offset: 0, line: 1 }
  for await (const group of groupsOf(streamOf(chunks), linesMax, start)) groups.push(group)
  return groups
}

async function* streamOf(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks
}

function bytesOf(groups: readonly LineGroup[]): Buffer {
  return Buffer.concat(groups.flatMap(({ bytes }) => bytes))
}

test('however a file is cut into chunks, its lines and its bytes are the same', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'é', ',', '"', '\r', '€'), maxLength: 9 })
  const lines = fc.array(line, { maxLength: 20 })
  const cuts = fc.array(fc.nat(120), { maxLength: 10 })
  const check = async (texts: string[], ends: boolean, places: number[]): Promise<void> => {
    const file = Buffer.from(texts.join('\n') + (ends && texts.length > 0 ? '\n' : ''))
    const at = [0, ...places.filter((n) => n < file.length).sort((a, b) => a - b), file.length]
    const chunks = at.slice(1).map((end, i) => file.subarray(at[i], end))
    const groups = await read(chunks)
    const expected = file.toString().split('\n')
    if (expected.at(-1) === '') expected.pop()
    assert.deepEqual(
      groups.flatMap((group) => group.lines.map(({ number, text }) => [number, text])),
      expected.map((text, i) => [i + 1, text.replace(/\r$/, '')]),
    )
    assert.deepEqual(bytesOf(groups), file)
    assert.equal(groups.at(-1)?.end ?? 0, file.length)
    assert(groups.every((group) => group.lines.length <= 3))
  }
  await fc.assert(fc.asyncProperty(lines, fc.boolean(), cuts, check))
})

test('a line without an end is a group of its own, which its file may still lengthen', async () => {
  const groups = await read([Buffer.from('a\nb\nc')])
  const shapes = groups.map(({ lines, isOpen, end, nextLine }) => [
    lines.length,
    isOpen,
    end,
    nextLine,
  ])
  assert.deepEqual(shapes, [
    [2, false, 4, 3],
    [1, true, 5, 3],
  ])
})

test('a line that is too long is told once, and the next one is whole', async () => {
  const long = 'x'.repeat(importLineBytesMax + 1)
  const many = Array.from({ length: 9 }, () => Buffer.from(long))
  for (const chunks of [
    [Buffer.from(`a\n${long}\nb\n`)],
    [Buffer.from('a\n'), ...many, Buffer.from('\nb\n')],
  ]) {
    const groups = await read(chunks)
    const lines = groups.flatMap((group) => group.lines)
    assert.deepEqual(
      lines.map(({ number, isTooLong }) => [number, isTooLong]),
      [
        [1, false],
        [2, true],
        [3, false],
      ],
    )
    assert(lines[1].text.length <= 200)
    assert.equal(lines[2].text, 'b')
    assert.deepEqual(bytesOf(groups), Buffer.concat(chunks))
  }
})

test('a group ends before it holds much more than its bytes', async () => {
  const line = Buffer.from(`${'x'.repeat(importLineBytesMax - 1)}\n`)
  const groups = await read(
    Array.from({ length: 100 }, () => line),
    5000,
  )
  for (const group of groups) {
    const bytes = group.bytes.reduce((sum, { length }) => sum + length, 0)
    assert(bytes <= importGroupBytesMax + line.length, `${bytes}`)
  }
  assert.equal(groups.flatMap(({ lines }) => lines).length, 100)
})
