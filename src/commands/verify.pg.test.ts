import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { LedgerError } from '../errors.ts'
import { ChainExtender } from '../ledger/chain/extend.ts'
import { observe } from '../ledger/chain/settled.ts'
import { openEmbeddedView } from '../log/embedded-view.ts'
import { changedCopy, makeBooks, type Books } from '../testing/books.ts'
import { runCommand, type CommandEnd } from '../testing/commands.ts'
import { temporaryDirectory } from '../testing/guard.ts'
import { withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { Findings } from './verify/findings.ts'
import { freshState, type VerifyState } from './verify/state.ts'
import { connectToVerify, DatabaseVerifier } from './verify/verifier.ts'

/** One that is rolled up, and has no conflict. */
const anAccount = `(SELECT account_id FROM ledger.rollups
  WHERE account_id NOT IN (SELECT account_id FROM ledger.conflicts) ORDER BY account_id LIMIT 1)`
const changed = `UPDATE ledger.transactions SET amount = amount + 1 WHERE account_id = ${anAccount}`

const run = (...argv: string[]): Promise<CommandEnd> => runCommand(['verify', ...argv])

describe('transaction-ledger verify, as it is called', () => {
  const directory = temporaryDirectory('verify')
  const file = (name: string): string => join(directory.path, name)
  let server: TestPostgres
  let books: Books
  before(async () => {
    server = await startTestPostgres()
    books = await makeBooks(server, directory.path)
  })
  after(async () => {
    await server.stop()
    directory.remove()
  })

  test('exit code 0 and the heads of all chains, which are then found again', async () => {
    const url = await changedCopy(books, 'agreeing', 'SELECT')
    const flags = ['--database-url', url, '--data-dir', books.dataDir]
    const first = await run(...flags, '--heads', file('heads.json'), '--state', file('state.json'))
    assert.deepEqual([first.code, first.out], [0, ''], first.err)
    assert.match(
      first.err,
      /^3,000 rows, 200 conflicts and 3,300 entries of the log in [\d.]+ s\.$/m,
    )
    assert.match(first.err, /^All agrees\.$/m)
    assert(!first.err.includes(new URL(url).password), 'no password is shown')
    assert(!existsSync(file('state.json')), 'nothing is left to go on with')
    const { heads } = JSON.parse(readFileSync(file('heads.json'), 'utf8')) as { heads: unknown[] }
    assert.equal(heads.length, 128)
    const again = await run('--database-url', url, '--no-log', '--against', file('heads.json'))
    assert.deepEqual([again.code, again.out], [0, ''], again.err)
  })

  test('a chain made anew over changed rows agrees with itself, not with its heads', async () => {
    const sql = `${changed}; DELETE FROM ledger.chain`
    const url = await changedCopy(books, 'remade', sql)
    await withConnection(url, async (connection) => {
      const extender = new ChainExtender()
      for (const bucket of [0, 1]) {
        for (;;) {
          const done = await extender.extend(connection, await observe(connection, bucket))
          assert(done)
          if (!done.isBehind) break
        }
      }
      const sql = `UPDATE ledger.rollups SET sum = sum + 1 WHERE account_id = ${anAccount}`
      await connection.execute(sql)
    })
    const alone = await run('--database-url', url, '--no-log')
    assert.equal(alone.code, 0, alone.out)
    const against = ['--against', file('heads.json')]
    const { code, out, err } = await run('--database-url', url, '--no-log', ...against)
    assert.equal(code, 1)
    assert.match(
      out,
      /^chain head: partition \d+, link \d+, as .*heads\.json of .*: expected hash /m,
    )
    // Links of other lengths have other hashes: none of them is the one that was exported.
    assert.match(err, /^chain head \(.*heads\.json\): 128$/m)
  })

  test('exit code 1 where something differs, each finding a line', async () => {
    const url = await changedCopy(books, 'differing', changed)
    const { code, out, err } = await run('--database-url', url, '--data-dir', books.dataDir)
    assert.equal(code, 1)
    for (const line of out.trim().split('\n'))
      assert.match(line, /^[a-z -]+: .+: expected .+, found .+\.$/)
    assert.match(out, /^row amount: /m)
    assert.match(err, /^3 findings\.$/m)
  })

  test('exit code 2 where it cannot be checked, with the reason', async () => {
    const help = await run('--help')
    assert.equal(help.code, 0)
    assert.match(help.out, /--against FILE/)
    const url = await changedCopy(books, 'unchecked', 'SELECT')
    writeFileSync(file('other.json'), '{"version":1,"ledger":["other"]}')
    const wrong: [string[], RegExp][] = [
      [['--linger', '5'], /^Unknown argument "--linger": expected one of --state, /],
      [['--state'], /^--state: expected a value, found none/],
      [
        ['--database-url', url, '--data-dir', directory.path],
        /^--data-dir: expected an embedded log in .*, f/,
      ],
      [['--database-url', 'postgresql://a:b@127.0.0.1:1/c', '--no-log'], /127\.0\.0\.1:1\/c/],
      [
        ['--database-url', url, '--no-log', '--against', file('other.json')],
        /^--against .*: expected h/,
      ],
      [
        ['--database-url', url, '--no-log', '--state', file('other.json')],
        /^--state .*: expected the s/,
      ],
    ]
    for (const [argv, reason] of wrong) {
      const { code, err } = await run(...argv)
      assert.deepEqual([code, reason.test(err)], [2, true], `${argv.join(' ')}: ${err}`)
    }
  })

  test('interrupted again and again it goes on where it was, and finds the same', async () => {
    const url = await changedCopy(books, 'interrupted', changed)
    const whole = await inPieces(url, false)
    const pieces = await inPieces(url, true)
    assert.equal(whole.runs, 1)
    assert(pieces.runs > 8, `${pieces.runs} runs`)
    assert.deepEqual(pieces.state.counts, whole.state.counts)
    assert.deepEqual(pieces.state.heads, whole.state.heads)
    assert.deepEqual(pieces.told, whole.told)
    assert.equal(whole.told.length, 3)
  })

  /** Each run is interrupted when it has got somewhere, or runs to the end. */
  async function inPieces(
    url: string,
    isInterrupted: boolean,
  ): Promise<{ runs: number; state: VerifyState; told: string[] }> {
    const told: string[] = []
    const log = await openEmbeddedView(join(books.dataDir, 'log'))
    let state = freshState([])
    for (let runs = 1; ; runs++) {
      const connection = await connectToVerify(url)
      const interrupted = new AbortController()
      const reached = (): string => JSON.stringify([state.done, state.bucket])
      const before = reached()
      const onProgress = (): void => {
        if (isInterrupted && reached() !== before) interrupted.abort()
      }
      const findings = new Findings(state.findings, (text) => told.push(text))
      const options = { log, state, findings, signal: interrupted.signal, onProgress }
      try {
        await (await DatabaseVerifier.open(connection, options)).run()
        return { runs, state, told }
      } catch (error) {
        assert(error instanceof LedgerError && error.code === 'STOPPING', String(error))
        state.findings = Object.fromEntries(findings.counts)
        state = JSON.parse(JSON.stringify(state)) as VerifyState
      } finally {
        await connection.close()
        if (!interrupted.signal.aborted) await log.close()
      }
    }
  }
})
