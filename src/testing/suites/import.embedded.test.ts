import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Client as Database } from 'pg'
import { uuidv7 } from '#client'
import { temporaryDirectory, watchGroup } from '../guard.ts'
import { endPostmasters } from '../postmasters.ts'
import { Program } from '../program.ts'

const main = join(import.meta.dirname, '../../main.js')

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  output: string
  errors: string
}

interface State {
  offset: number
  taken: number
}

/** The command is killed and run again against one ledger, which each test fills further. */
describe('transaction-ledger import', () => {
  const directory = temporaryDirectory('import')
  const file = (name: string): string => join(directory.path, name)
  let program: Program
  let database: Database
  before(async () => {
    const data = ['--data-dir', file('data')]
    program = await new Program(['--listen', '127.0.0.1:0', ...data]).ready()
    database = new Database(program.databaseUrl)
    await database.connect()
  })
  after(async () => {
    await database.end()
    await program.stop()
    await endPostmasters(file('data'))
    directory.remove()
  })

  function start(...args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
    const child = spawn(process.execPath, [main, 'import', ...args, '--url', program.url], {
      detached: true,
    })
    if (child.pid !== undefined) watchGroup(child.pid)
    const texts = { output: '', errors: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.errors += text))
    const ended = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      ...texts,
    }))
    return { child, ended }
  }

  const run = (...args: string[]): Promise<Ended> => start(...args).ended

  function stateOf(name: string): State | undefined {
    const path = file(`${name}.import.json`)
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as State) : undefined
  }

  /** The rows of some accounts, once there are as many as expected. */
  async function rowsOf(accounts: readonly string[], expected: number): Promise<Row[]> {
    const deadline = Date.now() + 30_000
    for (;;) {
      const { rows } = await database.query<Row>(
        `SELECT id, account_id, amount FROM ledger.transactions
          WHERE account_id = ANY ($1::uuid[]) ORDER BY amount`,
        [accounts],
      )
      if (rows.length >= expected || Date.now() > deadline) return rows
      await delay(100)
    }
  }

  async function conflicts(): Promise<number> {
    const sql = 'SELECT count(*)::int AS n FROM ledger.conflicts'
    return (await database.query<{ n: number }>(sql)).rows[0]?.n ?? -1
  }

  for (const withIds of [true, false]) {
    const what = withIds ? 'with ids' : 'without ids'
    test(`200,000 lines ${what}, killed on the way and run again, are there once each`, async () => {
      const count = 200_000
      const accounts = Array.from({ length: 1000 }, () => crypto.randomUUID())
      const name = withIds ? 'with.csv' : 'without.csv'
      const header = withIds ? 'id,account_id,amount' : 'account_id,amount'
      const lines = Array.from({ length: count }, (_, i) => {
        const rest = `${accounts[i % 1000]},${i}`
        return withIds ? `${uuidv7()},${rest}` : rest
      })
      writeFileSync(file(name), `${[header, ...lines].join('\n')}\n`)
      // Small batches, so that the kill comes in the middle.
      const flags = [file(name), '--batch', '500']
      for (const share of [0.2, 0.5]) {
        const { child, ended } = start(...flags)
        const reached = share * statSync(file(name)).size
        while ((stateOf(name)?.offset ?? 0) < reached && child.exitCode === null) await delay(5)
        child.kill('SIGKILL')
        assert.equal((await ended).signal, 'SIGKILL', 'it was done before it was killed')
      }
      const before = stateOf(name)
      assert(before !== undefined && before.taken < count)
      const { code, output, errors } = await run(...flags)
      assert.equal(code, 0, errors)
      const now = (count - before.taken).toLocaleString('en-US')
      assert(output.startsWith(`${now} transactions taken`), output)
      assert.equal(stateOf(name)?.taken, count)
      const rows = await rowsOf(accounts, count)
      assert.deepEqual(
        rows.map(({ account_id: account, amount }) => `${account},${amount}`),
        lines.map((line) => line.slice(withIds ? 37 : 0)),
      )
      assert.equal(new Set(rows.map(({ id }) => id)).size, count)

      // Forgotten, and so imported from the beginning: nothing is added.
      rmSync(file(`${name}.import.json`))
      assert.equal((await run(file(name))).code, 0)
      await applied(program, count)
      assert.equal((await rowsOf(accounts, count)).length, count)
      assert.equal(await conflicts(), 0)
    })
  }

  test('malformed lines go to the error file, and all others to the ledger', async () => {
    const [account, repeated] = [crypto.randomUUID(), uuidv7()]
    const good = (amount: number, id = uuidv7()): string =>
      JSON.stringify({ id, account_id: account, amount: String(amount) })
    const long = 'x'.repeat(100_000)
    const lines = [
      good(1),
      'nonsense',
      good(2),
      '',
      '{"account_id":"x","amount":1}',
      good(3, repeated),
      long,
      // The same identity with another amount: only the ledger sees that.
      good(4, repeated),
      '{"id":"',
      good(5),
    ]
    // Without an end, the last line is one as well.
    writeFileSync(file('some.ndjson'), lines.join('\n'))
    const errorFile = file('some.ndjson.errors.ndjson')
    for (const flags of [[], [], ['--restart']]) {
      const { code, output } = await run(file('some.ndjson'), ...flags)
      assert.equal(code, 3, output)
      const told = readFileSync(errorFile, 'utf8').trimEnd().split('\n')
      const faults = told.map((text) => JSON.parse(text) as Record<string, unknown>)
      assert.deepEqual(
        faults.map(({ line, field }) => [line, field]),
        [
          [2, undefined],
          [5, 'account_id'],
          [7, undefined],
          [8, 'amount'],
          [9, undefined],
        ],
      )
      assert.deepEqual(faults[1], {
        line: 5,
        field: 'account_id',
        expected: 'a UUID',
        found: 'x',
        text: lines[4],
      })
      assert.equal(faults[3]['text'], lines[7])
    }
    const rows = await rowsOf([account], 4)
    assert.deepEqual(
      rows.map(({ amount }) => amount),
      ['1', '2', '3', '5'],
    )
  })

  test('a file that has grown is imported from where it ended', async () => {
    const account = crypto.randomUUID()
    writeFileSync(file('grows.csv'), `account_id,amount\n${account},1\n${account},2`)
    assert.equal((await run(file('grows.csv'))).code, 0)
    assert.equal((await rowsOf([account], 2)).length, 2)
    appendFileSync(file('grows.csv'), `\n${account},3\n`)
    assert.equal((await run(file('grows.csv'))).code, 0)
    const rows = await rowsOf([account], 3)
    assert.deepEqual(
      rows.map(({ amount }) => amount),
      ['1', '2', '3'],
    )
  })

  test('a file that is not what was imported is refused, and taken with --restart', async () => {
    const account = crypto.randomUUID()
    writeFileSync(file('other.csv'), `account_id,amount\n${account},1\n`)
    assert.equal((await run(file('other.csv'))).code, 0)
    writeFileSync(file('other.csv'), `account_id,amount\n${account},7\n`)
    const { code, errors } = await run(file('other.csv'))
    assert.equal(code, 2)
    assert.match(errors, /Expected the file to begin with what was imported of it/)
    assert.equal((await run(file('other.csv'), '--restart')).code, 0)
    assert.equal((await rowsOf([account], 2)).length, 2)
  })

  test('standard input needs ids or a namespace for them', async () => {
    const account = crypto.randomUUID()
    for (const [flags, wanted] of [
      [[], 2],
      [['--id-namespace', 'day 1'], 0],
      [['--id-namespace', 'day 1'], 0],
    ] as const) {
      const errorFile = ['--errors', file('stdin.errors')]
      const { child, ended } = start('-', '--format', 'csv', ...errorFile, ...flags)
      child.stdin?.end(`account_id,amount\n${account},1\n${account},2\n`)
      const { code, errors } = await ended
      assert.equal(code, wanted, errors)
      if (wanted === 2) assert.match(errors, /--id-namespace: expected a text/)
    }
    assert.equal((await rowsOf([account], 2)).length, 2)
  })

  test('Ctrl-C leaves a state from which the same command goes on', async () => {
    const account = crypto.randomUUID()
    const text = Array.from({ length: 50_000 }, (_, i) => `${account},${i}`).join('\n')
    writeFileSync(file('long.csv'), `account_id,amount\n${text}\n`)
    const flags = [file('long.csv'), '--batch', '200', '--in-flight', '2']
    const { child, ended } = start(...flags)
    while ((stateOf('long.csv')?.taken ?? 0) === 0 && child.exitCode === null) await delay(5)
    child.kill('SIGINT')
    const { code, errors } = await ended
    assert.equal(code, 130, errors)
    assert.match(errors, /Interrupted\.\nEverything before line \d+ is done with; the same command/)
    assert.equal((await run(...flags)).code, 0)
    assert.equal((await rowsOf([account], 50_000)).length, 50_000)
  })

  test('an address without a ledger ends it with code 1 and the reason', async () => {
    writeFileSync(file('away.csv'), `account_id,amount\n${crypto.randomUUID()},1\n`)
    const away = new URL(program.url)
    away.pathname = '/nowhere'
    const child = spawn(process.execPath, [main, 'import', file('away.csv'), '--url', away.href])
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const [code] = (await once(child, 'close')) as [number]
    assert.equal(code, 1)
    assert.match(errors, /POST \/v1\/transactions: 404 .*\nEverything before line 1 is done with/)
  })
})

interface Row {
  id: string
  account_id: string
  amount: string
}

/** Waits until the workers have seen that many repetitions. */
async function applied(program: Program, count: number): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const text = await (await fetch(`${program.url}/metrics`)).text()
    const found = /^ledger_lag_records(?:\{[^}]*\})? (\d+)$/gm
    const lag = [...text.matchAll(found)].reduce((sum, [, value]) => sum + Number(value), 0)
    if (lag === 0) return
    assert(Date.now() < deadline, `${count} repetitions are not applied`)
    await delay(100)
  }
}
