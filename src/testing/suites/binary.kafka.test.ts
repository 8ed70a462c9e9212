import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openExecutable, type Executable } from '../executable.ts'
import { plainShape } from '../generate.ts'
import { temporaryDirectory } from '../guard.ts'
import { startTestKafka } from '../kafka.ts'
import { startLoad } from '../load.ts'
import { Program } from '../program.ts'
import { Setting } from './setting.ts'

describe('the executable, alone in a directory and with an empty environment', () => {
  let executable: Executable
  let cache: ReturnType<typeof temporaryDirectory>
  before(async () => {
    executable = await openExecutable()
    cache = temporaryDirectory('cache')
  })
  after(() => {
    executable.remove()
    cache.remove()
  })

  test('works through Kafka in several processes that start at once on an empty cache', async () => {
    const { launch } = executable
    const setting = await Setting.open({
      log: 'kafka',
      databases: 1,
      shape: plainShape,
      clients: 3,
      launch,
    })
    try {
      const roles = ['ingress', 'worker,query', 'worker']
      const programs = roles.map((role) => setting.start('--role', role, '--cache-dir', cache.path))
      await Promise.all(programs.map((program) => program.ready()))
      const { generator, random, clients } = setting
      const load = { clients, generator, random, abandonShare: 0 }
      await startLoad({ ...load, contentsMax: 20_000 }).finished
      const { rows, conflicts } = await setting.assertAllKept()
      assert.deepEqual([rows, conflicts], [setting.history.count, 0])
      for (const program of programs) await setting.assertStops(program)
      assert.deepEqual(readdirSync(executable.directory), ['transaction-ledger'])
      assert.deepEqual(partsIn(cache.path), ['kafka', 'lmdb', 'uws'])
    } finally {
      await setting.close()
    }
  })

  test('is let in by a broker that asks for a password', async () => {
    const kafka = await startTestKafka({ users: { ingress: 'door' } })
    const properties = 'security.protocol=SASL_PLAINTEXT,sasl.mechanism=SCRAM-SHA-512'
    const flags = ['--listen', '127.0.0.1:0', '--role', 'ingress', '--brokers', kafka.saslBrokers]
    flags.push('--cache-dir', cache.path, '--data-dir', join(cache.path, 'data'))
    flags.push('--kafka-properties', `${properties},sasl.username=ingress,sasl.password=door`)
    const program = new Program(flags, executable.launch)
    try {
      await program.ready()
      const entry = { id: randomUUID(), account_id: randomUUID(), amount: 1 }
      const response = await fetch(`${program.url}/v1/transactions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify([entry]),
      })
      assert.equal(response.status, 202, await response.text())
      assert.equal((await program.stop()).code, 0, program.story())
    } finally {
      program.kill('SIGKILL')
      await program.exited
      await kafka.destroy()
    }
  })
})

function partsIn(cache: string): string[] {
  const names = readdirSync(join(cache, 'transaction-ledger'))
  return names.map((name) => name.replace(/-.*/, '')).sort()
}
