import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openEmbeddedView } from '../../log/embedded-view.ts'
import { changedCopy, makeBooks, type Books } from '../../testing/books.ts'
import { temporaryDirectory } from '../../testing/guard.ts'
import { startTestPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { Findings } from './findings.ts'
import { freshState } from './state.ts'
import { connectToVerify, DatabaseVerifier } from './verifier.ts'

const aRow = `(SELECT account_id, id FROM ledger.transactions ORDER BY id DESC, account_id LIMIT 1)`
const aTime = `(SELECT min(created_at) + interval '1 us' FROM ledger.transactions)`

interface Corruption {
  sql: string
  /** Told with the log at hand, without links. */
  log?: RegExp
  /** Told by the tables alone. */
  tables?: RegExp
}

const content = /^chain content: partition \d+, link \d+, created after .*: expected \d+ rows of /m

const corruptions: Record<string, Corruption> = {
  'a row is deleted': {
    sql: `DELETE FROM ledger.transactions WHERE (account_id, id) = ${aRow}`,
    log: /^row missing: account \S+, id \S+, partition \d+, offset \d+, entry \d+: expected a row/m,
    tables: content,
  },
  'an amount is changed': {
    sql: `UPDATE ledger.transactions SET amount = amount + 1 WHERE (account_id, id) = ${aRow}`,
    log: /^row amount: account \S+, id \S+, .*: expected amount -?\d+, found -?\d+\.$/m,
    tables: content,
  },
  'a row has another time': {
    sql: `UPDATE ledger.transactions SET created_at = created_at - interval '1 us'
      WHERE (account_id, id) = ${aRow}`,
    log: /^row invented: .* created at /m,
    tables: content,
  },
  'a row is moved to another account': {
    sql: `UPDATE ledger.transactions SET account_id = gen_random_uuid()
      WHERE (account_id, id) = ${aRow}`,
    log: /^row missing: [^]*^row invented: |^row invented: [^]*^row missing: /m,
    tables: content,
  },
  'a row is moved to another id': {
    sql: `UPDATE ledger.transactions SET id = gen_random_uuid() WHERE (account_id, id) = ${aRow}`,
    log: /^row invented: /m,
    tables: content,
  },
  'two rows swap their amounts': {
    sql: `UPDATE ledger.transactions SET amount = -amount WHERE account_id IN (
      SELECT account_id FROM ledger.transactions WHERE abs(amount) = 2993 LIMIT 2)`,
    log: /^row amount: /m,
    tables: content,
  },
  'a row is doubled, its key gone': {
    sql: `DROP INDEX ledger.transactions_b00_default_key;
      INSERT INTO ledger.transactions SELECT * FROM ledger.transactions_b00_default LIMIT 1`,
    log: /^row doubled: account [^]*^key doubled: account \S+, id \S+, in ledger.transactions_b00/m,
    tables:
      /^leaf: ledger.transactions_b00_default: expected a key \(account_id, id\), found none/m,
  },
  'a row is doubled with another amount and time, its key gone': {
    sql: `DROP INDEX ledger.transactions_b01_default_key;
      INSERT INTO ledger.transactions SELECT account_id, id, amount + 1,
        created_at + interval '1 us'
      FROM ledger.transactions_b01_default ORDER BY created_at LIMIT 1`,
    log: /^key doubled: /m,
    tables: /^key doubled: /m,
  },
  'a row that nobody sent is there': {
    sql: `INSERT INTO ledger.transactions
      VALUES (gen_random_uuid(), gen_random_uuid(), 1, ${aTime})`,
    log: /^row invented: account \S+, id \S+, partition \d+: expected no row that no record/m,
    tables: content,
  },
  'a row that nobody sent is younger than any': {
    sql: `INSERT INTO ledger.transactions
      VALUES (gen_random_uuid(), gen_random_uuid(), 1, now() + interval '1 year')`,
    log: /^row ahead: account \S+, id \S+: expected no row created after /m,
    tables: /^row ahead: /m,
  },
  'a checkpoint is moved past the log': {
    sql: 'UPDATE ledger.checkpoints SET next_offset = next_offset + 9 WHERE partition = 5',
    log: /^checkpoint: partition 5: expected an offset of at most \d+, where the log ends, found /m,
  },
  'a checkpoint is moved over a record': {
    sql: 'UPDATE ledger.checkpoints SET next_offset = next_offset + 1 WHERE partition = 5',
    log: /^row missing: .*, partition 5, offset \d+, entry 0: expected a row of amount/m,
  },
  'a checkpoint is moved back': {
    sql: 'UPDATE ledger.checkpoints SET next_offset = next_offset - 1 WHERE partition = 5',
    log: /^row invented: .* partition 5: /m,
    tables: /^checkpoint: partition 5: expected an offset of at least \d+, as link \d+ says/m,
  },
  'a checkpoint has a later time': {
    sql: `UPDATE ledger.checkpoints SET last_created_at = last_created_at + interval '1 us'
      WHERE partition = 5`,
    log: /^checkpoint: partition 5, offset \d+: expected last_created_at /m,
  },
  'a checkpoint has an earlier time': {
    sql: `UPDATE ledger.checkpoints SET last_created_at = last_created_at - interval '1 us'
      WHERE partition = 5`,
    log: /^checkpoint: partition 5, offset \d+: expected last_created_at /m,
    tables: /^checkpoint: partition 5: expected last_created_at of at least .*, as link/m,
  },
  'a checkpoint is of another log': {
    sql: `UPDATE ledger.checkpoints SET log_identity = 'other' WHERE partition = 5`,
    log: /^checkpoint: partition 5: expected log embedded:\S+, found other\.$/m,
  },
  'a checkpoint is gone': {
    sql: 'DELETE FROM ledger.checkpoints WHERE partition = 5',
    log: /^row ahead: partition 5/m,
    tables: /^checkpoint: partition 5: expected an offset of at least/m,
  },
  'a roll-up is changed': {
    sql: `UPDATE ledger.rollups SET sum = sum + 1
      WHERE (account_id, range) = (SELECT account_id, range FROM ledger.rollups LIMIT 1)`,
    tables:
      /^roll-up: account \S+ in ledger\.transactions_\S+ \(.*\): expected 1 -?\d+ .*found 1 /m,
  },
  'a range of roll-ups is gone': {
    sql: `DELETE FROM ledger.rollup_ranges WHERE range = (SELECT min(range) FROM ledger.rollups)`,
    tables: /^roll-up: /m,
  },
  'a conflict is deleted': {
    sql: `DELETE FROM ledger.conflicts WHERE (account_id, id, amount) = (
      SELECT account_id, id, amount FROM ledger.conflicts LIMIT 1)`,
    log: /^conflict missing: account \S+, id \S+, partition \d+, offset \d+, entry \d+: /m,
    tables: content,
  },
  'a conflict is invented': {
    sql: `INSERT INTO ledger.conflicts SELECT account_id, id, amount + 77, amount, created_at
      FROM ledger.transactions WHERE (account_id, id) = ${aRow}`,
    log: /^conflict invented: account /m,
    tables: content,
  },
  'a conflict names another recorded amount': {
    sql: `UPDATE ledger.conflicts SET recorded_amount = recorded_amount + 1
      WHERE (account_id, id, amount) = (
        SELECT account_id, id, amount FROM ledger.conflicts LIMIT 1)`,
    log: /^conflict row: account .*: expected a row of amount -?\d+, another one, found a row of /m,
    tables: /^chain content: [^]*^conflict row: /m,
  },
  'a quarantined record is altered': {
    sql: `UPDATE ledger.quarantine SET bytes = 'altered' WHERE log_offset =
      (SELECT min(log_offset) FROM ledger.quarantine)`,
    log: /^quarantine: partition 7, offset \d+: expected bytes with SHA-256 \w+, found /m,
    tables: content,
  },
  'the reason of a quarantined record is altered': {
    sql: `UPDATE ledger.quarantine SET reason = 'Because.'`,
    log: /^quarantine: partition 7, offset \d+: expected reason "Entry 0, .*found "Because/m,
    tables: content,
  },
  'a quarantined record is gone': {
    sql: `DELETE FROM ledger.quarantine WHERE log_offset =
      (SELECT max(log_offset) FROM ledger.quarantine)`,
    log: /^quarantine: partition 7, offset \d+: expected the log's record .*found none/m,
    tables: content,
  },
  'a quarantined record is invented': {
    sql: `INSERT INTO ledger.quarantine SELECT log_identity, 5, 0, reason, bytes, created_at
      FROM ledger.quarantine LIMIT 1`,
    log: /^quarantine: partition 5, offset 0: expected no record: the log has a batch there/m,
    tables: content,
  },
  'a leaf is detached': {
    sql: `DO $$ BEGIN EXECUTE (
      SELECT format('ALTER TABLE ledger.%I DETACH PARTITION ledger.%I', p.relname, c.relname)
      FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid JOIN pg_class p ON p.oid = inhparent
      WHERE c.relname ~ '_rest$' AND pg_relation_size(c.oid) > 0 LIMIT 1); END $$`,
    log: /^leaf: ledger\.transactions_b0\d_\d+_rest: expected a partition [^]*^row missing: /m,
    tables: content,
  },
  'a bucket is detached': {
    sql: `ALTER TABLE ledger.transactions DETACH PARTITION ledger.transactions_b01`,
    tables: /^leaf: ledger\.transactions_b01: expected a partition of ledger.transactions, found/m,
  },
  'a key is invalid': {
    sql: `UPDATE pg_index SET indisvalid = false
      WHERE indexrelid = 'ledger.transactions_b00_default_key'::regclass`,
    tables:
      /^leaf: ledger\.transactions_b00_default: expected a valid key .*, found an invalid one/m,
  },
  'a link is changed': {
    sql: 'UPDATE ledger.chain SET rows = rows + 1 WHERE partition = 5 AND link = 1',
    tables: /^chain: partition 5, link 1: expected hash \w+, from its fields and the link before/m,
  },
  'a link is gone': {
    sql: 'DELETE FROM ledger.chain WHERE partition = 5 AND link = 1',
    tables: /^chain: partition 5, link 2: expected link 1 after link 0, found link 2/m,
  },
}

describe('transaction-ledger verify', () => {
  const directory = temporaryDirectory('verify')
  let server: TestPostgres
  let books: Books
  let copies = 0
  before(async () => {
    server = await startTestPostgres()
    books = await makeBooks(server, directory.path)
  })
  after(async () => {
    await server.stop()
    directory.remove()
  })

  async function findings(sql: string, withLog: boolean): Promise<string> {
    const url = await changedCopy(books, `copy_${++copies}`, sql)
    const told: string[] = []
    const log = withLog ? await openEmbeddedView(join(books.dataDir, 'log')) : undefined
    const connection = await connectToVerify(url)
    try {
      const all = new Findings({}, (text) => told.push(text))
      const { signal } = new AbortController()
      const state = freshState([])
      const options = { log, state, findings: all, signal, onProgress: () => undefined }
      await (await DatabaseVerifier.open(connection, options)).run()
      assert(state.counts.rows > 2000, `${state.counts.rows} rows were looked at`)
      if (withLog) assert(state.counts.logEntries > 3000, `${state.counts.logEntries} entries`)
      return told.join('\n')
    } finally {
      await connection.close()
      await log?.close()
    }
  }

  test('books that agree have no findings, by log and links, by either, by neither', async () => {
    assert.equal(await findings('SELECT', true), '')
    assert.equal(await findings('SELECT', false), '')
    assert.equal(await findings('DELETE FROM ledger.chain', true), '')
    assert.equal(await findings('DELETE FROM ledger.chain', false), '')
  })

  for (const [name, { sql, log, tables }] of Object.entries(corruptions)) {
    const ways = [log && 'the log', tables && 'the tables alone'].filter((way) => way)
    test(`it is found when ${name}, by ${ways.join(' and by ')}`, async () => {
      if (log) assert.match(await findings(`DELETE FROM ledger.chain; ${sql}`, true), log)
      if (tables) assert.match(await findings(sql, false), tables)
    })
  }
})
