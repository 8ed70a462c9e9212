import assert from 'node:assert/strict'
import net from 'node:net'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openLeaf } from '../ledger/open-leaves.ts'
import { createLogger } from '../observe/logger.ts'
import { encodeBatch } from '../record/encode.ts'
import { claimAll, column, createTestLedger, ledgerRows, rowText } from '../testing/ledger.ts'
import { testLayout, withConnection } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { idAt, partitionOfAccount, uuidBytes, type Entry } from '../testing/rows.ts'
import { Applier } from './applier.ts'
import { OpenBuckets } from './open-buckets.ts'
import { sliceFields, type FromWorker } from './protocol.ts'
import { Sealer } from './sealer.ts'

const logger = createLogger('silent', 'json')
const partitions = [...Array(128).keys()]
const createdAt = Date.now()

let server: TestPostgres
let url: string
let ends: (() => Promise<unknown>)[] = []

before(async () => {
  server = await startTestPostgres()
})

after(() => server.stop())

beforeEach(async () => {
  url = await createTestLedger(server)
})

afterEach(async () => {
  for (const end of ends.reverse()) await end()
  ends = []
})

/** A worker that opens leaves whatever the load, with the thread's messages made here. */
class TestWorker {
  private readonly ring = new SharedArrayBuffer(1 << 20)
  private readonly generations = new Map<number, number>()
  private readonly offsets = new Map<number, number>()
  private readonly applier: Applier
  private used = 0
  private halted = 0

  constructor(databaseUrl: string) {
    this.applier = new Applier({
      worker: 0,
      ring: this.ring,
      databaseUrl,
      buckets: testLayout.buckets,
      owner: 'test',
      logIdentity: 'test log',
      logLevel: 'silent',
      logFormat: 'json',
      crashAt: undefined,
      openLeafRate: 0,
      logger,
      post: (message) => {
        this.receive(message)
      },
    })
    const running = this.applier.run()
    ends.push(() => {
      this.applier.receive({ kind: 'stop' })
      return running
    })
  }

  async claim(): Promise<void> {
    this.applier.receive({ kind: 'assign', partitions })
    await until(() => this.generations.size + this.halted === partitions.length)
  }

  /** One record; resolves when it is committed. */
  async apply(...entries: [Entry, ...Entry[]]): Promise<void> {
    const partition = partitionOfAccount(entries[0].accountId)
    const bytes = encodeBatch(
      entries.map(({ id, accountId, amount }) => {
        return { id: uuidBytes(id), accountId: uuidBytes(accountId), amount }
      }),
    )
    new Uint8Array(this.ring).set(bytes, this.used)
    const slices = new Float64Array(sliceFields)
    const generation = this.generations.get(partition) ?? -1
    const offset = this.offsets.get(partition) ?? -1
    const end = this.used + bytes.length
    slices.set([partition, generation, offset, createdAt, this.used, bytes.length, end])
    this.used = end
    this.applier.receive({ kind: 'slices', slices })
    await until(() => this.offsets.get(partition) === offset + 1)
  }

  private receive(message: FromWorker): void {
    if (message.kind === 'read-from') {
      for (const { partition, offset, generation } of message.positions) {
        this.generations.set(partition, generation)
        this.offsets.set(partition, offset)
      }
    } else if (message.kind === 'progress') {
      for (let i = 0; i < message.positions.length; i += 3) {
        this.offsets.set(message.positions[i], message.positions[i + 1])
      }
    } else if (message.kind === 'halted') this.halted += message.partitions.length
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000
  while (!(await condition())) {
    assert(performance.now() < end, condition.toString())
    await delay(5)
  }
}

/** An entry of bucket 1. */
function entryAt(milliseconds: number): Entry {
  for (;;) {
    const accountId = crypto.randomUUID()
    if (partitionOfAccount(accountId) % testLayout.buckets !== 1) continue
    return { accountId, id: idAt(milliseconds), amount: 1n, createdAt }
  }
}

function openLeaves(): Promise<unknown[]> {
  return column(
    url,
    `SELECT relid::regclass::text FROM pg_partition_tree('ledger.transactions')
     WHERE isleaf AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = relid)`,
  )
}

/** Has the worker open a leaf of bucket 1; an entry for that leaf, and the first one written. */
async function withOpenLeaf(worker: TestWorker): Promise<{ first: Entry; entry: Entry }> {
  await worker.claim()
  const first = entryAt(Date.now())
  await worker.apply(first)
  let leaf = ''
  await until(async () => {
    const [found] = await column(
      url,
      `SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '_b01_\\d{8}_\\d{6}$'`,
    )
    leaf = typeof found === 'string' ? found : ''
    return leaf !== ''
  })
  const [, year, month, day, hour, minute, second] =
    /_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)$/.exec(leaf) ?? []
  const from = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return { first, entry: entryAt(from + 1) }
}

async function assertHolds(...entries: Entry[]): Promise<void> {
  assert.deepEqual(await ledgerRows(url), entries.map(rowText).sort())
}

test('an entry is found again in an open leaf, and another amount becomes a conflict', async () => {
  const worker = new TestWorker(url)
  const { first, entry } = await withOpenLeaf(worker)
  await worker.apply(entry)
  assert.equal((await openLeaves()).length, 1)
  await worker.apply({ ...entry, amount: 2n })
  await worker.apply(entry)
  await assertHolds(first, entry)
  assert.deepEqual(await column(url, 'SELECT amount FROM ledger.conflicts'), ['2'])
})

test('without work leaves get their keys, and an entry of theirs is found again', async () => {
  const worker = new TestWorker(url)
  const { first, entry } = await withOpenLeaf(worker)
  await worker.apply(entry)
  await until(async () => (await openLeaves()).length === 0)
  await worker.apply(entry)
  await assertHolds(first, entry)
})

test('an open leaf that is looked into again and again gets its key, while the load goes on', async () => {
  const worker = new TestWorker(url)
  const { first } = await withOpenLeaf(worker)
  const written = [first]
  const end = performance.now() + 8000
  await withConnection(url, async (reader) => {
    while ((await openLeaves()).length > 0) {
      assert(performance.now() < end, 'a leaf of ten seconds or more is sealed before it is full')
      for (let i = 0; i < 10; i++) {
        await reader.query('SELECT FROM ledger.transactions WHERE account_id = $1', [
          first.accountId,
        ])
      }
      const entry = entryAt(Date.now())
      await worker.apply(entry)
      written.push(entry)
    }
  })
  await assertHolds(...written)
})

test('who claims partitions seals what their last owner left open', async () => {
  const former = new TestWorker(url)
  const { first, entry } = await withOpenLeaf(former)
  await former.apply(entry)
  const worker = new TestWorker(url)
  await worker.claim()
  assert.deepEqual(await openLeaves(), [])
  await worker.apply(entry)
  await assertHolds(first, entry)
})

test('a leaf whose opening was not answered is sealed before anything is written to it', async () => {
  const proxy = await cutAtOpening(url)
  ends.push(() => proxy.close())
  const worker = new TestWorker(proxy.url)
  const { first, entry } = await withOpenLeaf(worker)
  await until(() => proxy.cuts === 1)
  await worker.apply(entry)
  await worker.apply(entry)
  await assertHolds(first, entry)
})

test('a flush with keys that could not be remembered seals first', async () => {
  await withConnection(url, async (connection) => {
    const onLeaves = (): void => undefined
    const options = { databaseUrl: url, worker: 0, buckets: 4, rate: 0, logger, onLeaves }
    const buckets = new OpenBuckets(options)
    const held = await claimAll(connection, partitions)
    const own = held.filter(({ partition }) => partition % testLayout.buckets === 1)
    const from = Math.ceil(Date.now() / 1000) * 1000
    await openLeaf(connection, 1, { from, to: from + 1000 }, own)
    const keys = buckets.keysOf(1)
    assert(keys)
    keys.mustSeal = true
    const none = { copy: new Uint8Array(), rows: 0 }
    const rows = { bucket: 1, ...none, doubtful: none, isOpen: true }
    await buckets.sealWhereNeeded(connection, [rows])
    assert.deepEqual(await openLeaves(), [])
    assert.equal(rows.isOpen, false)
  })
})

test('a leaf that is added while sealing ends with a failure can be added again', async () => {
  const sealer = new Sealer({ databaseUrl: url, worker: 0, logger })
  let sealed = false
  let added = false
  const seal = (): Promise<void> => {
    sealed = true
    return Promise.resolve()
  }
  sealer.add('one', () => {
    setImmediate(() => {
      sealer.add('other', seal)
      added = true
    })
    return Promise.reject(new Error('not now'))
  })
  await until(() => added)
  await sealer.close()
  sealer.add('other', seal)
  await sealer.close()
  assert(sealed)
})

interface CuttingProxy {
  url: string
  cuts: number
  close(): Promise<void>
}

/** Passes everything on, but hides from the client how the first opening of a leaf ends. */
async function cutAtOpening(target: string): Promise<CuttingProxy> {
  const { port, hostname } = new URL(target)
  const sockets = new Set<net.Socket>()
  const proxy = { url: '', cuts: 0, close }
  const listener = net.createServer((client) => {
    const database = net.connect(Number(port), hostname)
    let attached = false
    for (const socket of [client, database]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    database.on('data', (bytes) => client.write(bytes))
    database.on('close', () => client.destroy())
    client.on('close', () => database.end())
    client.on('data', (bytes) => {
      database.write(bytes)
      if (attached && proxy.cuts === 0 && bytes.includes('COMMIT')) {
        proxy.cuts++
        client.destroy()
      }
      attached ||= bytes.includes('ATTACH PARTITION')
    })
  })
  async function close(): Promise<void> {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => listener.close(resolve))
  }
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const own = new URL(target)
  own.hostname = '127.0.0.1'
  own.port = String((listener.address() as net.AddressInfo).port)
  proxy.url = own.href
  return proxy
}
