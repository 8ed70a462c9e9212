import assert from 'node:assert/strict'
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync } from 'node:fs'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { commands } from '../../commands.ts'
import { openExecutable, type Executable } from '../executable.ts'
import { plainShape } from '../generate.ts'
import { temporaryDirectory } from '../guard.ts'
import { startLoad } from '../load.ts'
import { endPostmasters } from '../postmasters.ts'
import { Program } from '../program.ts'
import { assertBalance, assertStatement, entriesByAccount } from './reads.ts'
import { Setting } from './setting.ts'

describe('the executable, alone in a directory and with an empty environment', () => {
  let executable: Executable
  before(async () => {
    executable = await openExecutable()
  })
  after(() => {
    executable.remove()
  })

  test('says what it is made of', () => {
    const { code, output } = executable.print('--version')
    assert.equal(code, 0)
    assert.match(output, /^transaction-ledger \d+\.\d+\.\d+( \([0-9a-f]{7,40}\+?\))?\n/)
    for (const name of ['node', 'lmdb', 'librdkafka', 'PostgreSQL', 'uWebSockets.js']) {
      assert.match(output, new RegExp(`^${name} \\d+\\.\\d+`, 'm'))
    }
  })

  test('prints the licences of all it contains', () => {
    const { code, output } = executable.print('--licenses')
    assert.equal(code, 0)
    const some = ['Node.js', 'PostgreSQL', 'librdkafka', 'LMDB, in lmdb', 'pg', 'pino', 'piscina']
    for (const name of some) {
      assert.match(output, new RegExp(`^={80}\n${name} .+\nLicence: .+\n={80}\n`, 'm'), name)
    }
    assert.doesNotMatch(output, /@napi-rs\/nice/)
    assert.match(output, /V8, located at deps\/v8/)
    assert.match(output, /This product includes software developed by the OpenSSL Project/)
  })

  test('is called by its name in --help, and refuses what it does not know with code 2', () => {
    const help = executable.print('--help')
    assert.equal(help.code, 0)
    assert.match(help.output, /^Usage: transaction-ledger \[FLAGS\]$/m)
    const unknown = executable.print('--unknown')
    assert.equal(unknown.code, 2)
    assert.match(unknown.output, /Unknown argument "--unknown"/)
  })

  test('holds the bench', () => {
    const { code, output } = executable.print('bench', '--help')
    assert.equal(code, 0, output)
    for (const scenario of ['steady', 'limit']) assert.match(output, new RegExp(scenario))
  })

  test('holds the import, with the client it is built on', () => {
    const { code, output } = executable.print('import', '--help')
    assert.equal(code, 0, output)
    assert.match(output, /^Usage: transaction-ledger import FILE/)
    const directory = temporaryDirectory('import')
    try {
      const file = join(directory.path, 'one.csv')
      writeFileSync(file, `account_id,amount\n${crypto.randomUUID()},1\n`)
      const nobody = ['--url', 'http://127.0.0.1:9', '--retry-for', '0']
      const failed = executable.print('import', file, ...nobody)
      assert.equal(failed.code, 1, failed.output)
      assert.match(failed.output, /POST \/v1\/transactions: tried once, last: /)
    } finally {
      directory.remove()
    }
  })

  test('each command tells its flags, before anything is unpacked', () => {
    for (const word of Object.keys(commands)) {
      const { code, output } = executable.print(word, '--help')
      assert.equal(code, 0, output)
      assert.match(output, new RegExp(`transaction-ledger ${word}`))
    }
  })

  test('holds the command that proves the books', () => {
    const help = executable.print('verify', '--help')
    assert.equal(help.code, 0, help.output)
    assert.match(help.output, /^transaction-ledger verify: proves that log and tables agree/)
    const nobody = ['--database-url', 'postgresql://a:b@127.0.0.1:1/c']
    const failed = executable.print('verify', '--no-log', ...nobody)
    assert.equal(failed.code, 2, failed.output)
    assert.match(failed.output, /127\.0\.0\.1:1\/c/)
  })

  test('keeps what is sent through SIGKILL and a second start, and ends on SIGTERM with 0', async () => {
    const { launch } = executable
    const setting = await Setting.open({
      log: 'embedded',
      databases: 0,
      shape: plainShape,
      clients: 3,
      launch,
    })
    try {
      const first = await setting.startReady()
      const { generator, random, clients } = setting
      const load = { clients, generator, random, abandonShare: 0 }
      await startLoad({ ...load, contentsMax: 20_000 }).finished
      first.kill('SIGKILL')
      await first.exited
      const second = await setting.startReady('--decode-threads', '1')
      await startLoad({ ...load, contentsMax: 30_000 }).finished
      const { rows, conflicts } = await setting.assertAllKept()
      assert.deepEqual([rows, conflicts], [setting.history.count, 0])
      const [account, entries] = [...entriesByAccount(setting.history, rows)][0]
      await assertBalance(second.url, account, entries)
      await assertStatement(second.url, account, entries, 500)
      await setting.assertStops(second)
      assert.deepEqual(readdirSync(executable.directory), ['transaction-ledger'])
      const kept = readdirSync(setting.directory).sort()
      assert.deepEqual(kept, ['cache', 'log', 'postgres', 'receipt.key'])
    } finally {
      await setting.close()
    }
  })

  test('reads a JSON batch of 5000 in a decode thread', async () => {
    const { launch } = executable
    const setting = await Setting.open({
      log: 'embedded',
      databases: 0,
      shape: plainShape,
      clients: 1,
      launch,
    })
    try {
      const program = await setting.startReady('--decode-threads', '1')
      const { history, random } = setting
      const batch = history.begin()
      const [id, account] = [new Uint8Array(16), new Uint8Array(16)]
      while (batch.count < 5000) {
        random.fill(id)
        random.fill(account)
        history.add(id, account, BigInt(batch.count))
      }
      const answer = await setting.clients[0].send(batch)
      assert.equal(answer, 'acknowledged', batch.attempts.at(0)?.detail)
      const { rows, conflicts } = await setting.assertAllKept()
      assert.deepEqual([rows, conflicts], [5000, 0])
      await setting.assertStops(program)
      assert.deepEqual(readdirSync(executable.directory), ['transaction-ledger'])
    } finally {
      await setting.close()
    }
  })

  const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'these tests do not run as root' }

  test('runs as an ordinary user, and writes to its cache and data alone', needsRoot, async () => {
    const nobody = 65_534
    const home = temporaryDirectory('home')
    try {
      chmodSync(home.path, 0o755)
      const [data, cache] = [join(home.path, 'data'), join(home.path, '.cache')]
      for (const path of [data, cache]) {
        mkdirSync(path)
        chownSync(path, nobody, nobody)
      }
      const owned = ownedBy(nobody, home.path)
      const launch = { ...executable.launch, env: { HOME: home.path }, uid: nobody, gid: nobody }
      const program = new Program(['--listen', '127.0.0.1:0', '--data-dir', data], launch)
      try {
        await program.ready()
        assert.equal((await program.stop()).code, 0, program.story())
      } finally {
        program.kill('SIGKILL')
        await endPostmasters(data)
      }
      assert.deepEqual(readdirSync(cache), ['transaction-ledger'])
      const parts = readdirSync(join(cache, 'transaction-ledger')).map((name) => name.split('-')[0])
      assert.deepEqual(parts.sort(), ['lmdb', 'postgresql', 'uws'])
      assert.deepEqual(ownedBy(nobody, home.path), owned)
    } finally {
      home.remove()
    }
  })
})

/** What this user has in the directories everybody may write to, but for one of them. */
function ownedBy(uid: number, except: string): string[] {
  return ['/tmp', '/var/tmp', '/dev/shm', '/run/lock']
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory).map((name) => join(directory, name)))
    .filter((path) => path !== except && lstatSync(path, { throwIfNoEntry: false })?.uid === uid)
}
