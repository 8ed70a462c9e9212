import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainShape } from '../generate.ts'
import { describeEndToEnd } from './end-to-end.ts'
import { Setting } from './setting.ts'

// As a newcomer runs it: the program keeps its PostgreSQL too.
describeEndToEnd('embedded', 0)

test('a second process on the same data directory is refused and says why', async () => {
  const setting = await Setting.open({
    log: 'embedded',
    databases: 0,
    shape: plainShape,
    clients: 1,
  })
  try {
    const first = await setting.startReady()
    const second = setting.start()
    const end = await second.awaitEnd()
    assert.notEqual(end.code, 0)
    assert.match(second.story(), new RegExp(setting.directory))
    assert.equal((await fetch(`${first.url}/readyz`)).status, 200)
  } finally {
    await setting.close()
  }
})
