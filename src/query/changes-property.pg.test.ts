import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { ReadDatabases } from '../ledger/read-databases.ts'
import { openEmbeddedLog } from '../log/embedded.ts'
import { staticMembership } from '../log/static-membership.ts'
import { encodeBatch } from '../record/encode.ts'
import { ChangesReader } from '../testing/changes.ts'
import { column, createTestLedger } from '../testing/ledger.ts'
import { startTestPostgres } from '../testing/postgres.ts'
import { Random } from '../testing/random.ts'
import { idAt, partitionOfAccount, uuidBytes } from '../testing/rows.ts'
import { serve } from '../testing/served.ts'
import { Orchestrator } from '../worker/orchestrator.ts'
import { changesRoutes } from './changes.ts'

const buckets = 4
const all = Array.from({ length: 128 }, (_, partition) => partition)
const day = 86_400_000

/** A server that writes asynchronous commits as late as it may, so that a kill takes many along. */
const forgetful = { wal_writer_delay: '10s', wal_writer_flush_after: '1GB', wal_buffers: '16MB' }

/** Records of one account each: new ids, late ones, random ones, and some that came before. */
class Writer {
  readonly #random: Random
  readonly #accounts = Array.from({ length: 60 }, () => randomUUID())
  readonly #sent: { accountId: string; id: string; amount: bigint }[] = []

  constructor(random: Random) {
    this.#random = random
  }

  record(): { partition: number; bytes: Uint8Array } {
    const random = this.#random
    const accountId = this.#accounts[random.below(this.#accounts.length)]
    const count = 1 + random.below(random.below(4) === 0 ? 300 : 5)
    const entries = Array.from({ length: count }, () => this.#entry(accountId))
    const bytes = encodeBatch(
      entries.map(({ id, amount }) => ({
        id: uuidBytes(id),
        accountId: uuidBytes(accountId),
        amount,
      })),
    )
    return { partition: partitionOfAccount(accountId), bytes }
  }

  #entry(accountId: string): { id: string; amount: bigint } {
    const random = this.#random
    const kind = random.below(20)
    const earlier = this.#sent[random.below(this.#sent.length || 1)]
    if (kind === 0 && earlier?.accountId === accountId) return earlier
    const id =
      kind === 1
        ? randomUUID()
        : kind === 2
          ? idAt(Date.now() - random.below(20) * day)
          : idAt(Date.now())
    const entry = { accountId, id, amount: BigInt(random.below(1000)) - 500n }
    this.#sent.push(entry)
    return entry
  }
}

test('whoever follows the changes gets each row once, whatever dies and whenever they come', async (t) => {
  const random = new Random(20_261_124)
  const directory = await mkdtemp(join(tmpdir(), 'ledger-changes-'))
  const server = await startTestPostgres({ settings: forgetful })
  const log = await openEmbeddedLog({ directory, diskBytesMax: 2 ** 28 })
  const databaseUrls = [
    await createTestLedger(server, { buckets, databases: 2, databaseIndex: 0 }),
    await createTestLedger(server, { buckets, databases: 2, databaseIndex: 1 }),
  ]
  const workers = new Orchestrator({
    log,
    membership: staticMembership(all),
    databaseUrls,
    layout: { workers: 2, buckets, databases: 2 },
    owner: 'test',
    reclaims: false,
    logger: pino({ level: 'silent' }),
    logLevel: 'silent',
    logFormat: 'json',
    crashAt: undefined,
    openLeafRate: 0,
    onCommitted: () => undefined,
    onFatal: (error) => assert.fail(error),
  })
  const databases = new ReadDatabases({ databaseUrls, buckets, logger: { warn: () => {} } })
  const { url, errors } = await serve(t, { routes: changesRoutes(databases) })
  t.after(async () => {
    await workers.stop(AbortSignal.timeout(2000))
    await log.close()
    await databases.close()
    await server.stop()
    await rm(directory, { recursive: true })
  })
  await workers.start()

  const writer = new Writer(random)
  let isOver = false
  const write = async (): Promise<void> => {
    const until = performance.now() + 5000
    for (let count = 0; performance.now() < until; count++) {
      const { partition, bytes } = writer.record()
      await log.append(partition, bytes)
      if (count === 1000) {
        await server.killPostmaster()
        await server.start()
      }
      if (random.below(100) === 0) await delay(20)
    }
    await workers.drain(AbortSignal.timeout(20_000))
    isOver = true
  }

  /** Comes and goes: stays for some events, follows, and goes on where it was. */
  const visit = async (reader: ChangesReader): Promise<void> => {
    while (!isOver) {
      const stay = reader.events + 1 + random.below(60)
      await reader.read('', () => isOver || reader.events >= stay).catch(expectedWhileDown)
    }
    await reader.read('&follow=false')
  }
  /** Asks again and again for what there is. */
  const poll = async (reader: ChangesReader): Promise<void> => {
    while (!isOver) {
      await reader.read(`&follow=false&limit=${1 + random.below(20)}`).catch(expectedWhileDown)
      await delay(random.below(30))
    }
    await reader.read('&follow=false')
  }
  const whole = ['start', 'now'].flatMap((after) => [
    new ChangesReader(url, after),
    new ChangesReader(url, after, { accept: 'text/event-stream' }),
  ])
  const polling = new ChangesReader(url, 'start')
  const some = new ChangesReader(url, 'start', {})
  // From now on means from before the first row.
  for (const reader of whole) await reader.read('&follow=false')
  await some.read('&follow=false&partitions=0-40')
  await Promise.all([...whole, some].map(visit).concat(poll(polling), write()))

  const late = new ChangesReader(url, 'start')
  await late.read('&follow=false')
  const rows = await Promise.all(
    databaseUrls.map((each) =>
      column(each, `SELECT concat_ws(' ', account_id, id, amount) FROM ledger.transactions`),
    ),
  )
  const expected = rows.flat().map(String).sort()
  const ofSome = expected.filter((row) => partitionOfAccount(row.slice(0, 36)) <= 40)
  assert(expected.length > 5000, `${expected.length} rows`)
  for (const reader of [...whole, polling, late]) assert.deepEqual(reader.rows.sort(), expected)
  assert.deepEqual(some.rows.sort(), ofSome)
  assert.deepEqual(errors, [])
})

/** A reply that cannot begin is 503; one that has begun goes on once the database is back. */
function expectedWhileDown(error: unknown): void {
  if (!/503/.test(String(error))) throw error
}
