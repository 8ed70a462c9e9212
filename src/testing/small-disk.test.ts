import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { freeBytes, openSmallDisk } from './small-disk.ts'

test('a small disk can be filled to the last byte, freed and removed', async (t) => {
  const disk = await openSmallDisk(8)
  if (typeof disk === 'string') {
    t.skip(disk)
    return
  }
  t.after(() => disk.close())
  const file = join(disk.path, 'file')
  await writeFile(file, 'before')
  assert((await disk.fill()) > 7_000_000)
  assert.equal(await freeBytes(disk.path), 0)
  await assert.rejects(writeFile(`${file}2`, Buffer.alloc(5000)), { code: 'ENOSPC' })
  await disk.free()
  await writeFile(`${file}3`, Buffer.alloc(5_000_000))
  await disk.close()
  assert(!existsSync(disk.path))
})
