import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parseUuid } from '../bytes/uuid.ts'
import type { Connection } from '../postgres/connection.ts'
import { claimAll, createTestLedger, flushOf, openConnection } from '../testing/ledger.ts'
import { testLayout } from '../testing/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../testing/postgres.ts'
import { Random } from '../testing/random.ts'
import { idAt, partitionOfAccount, type Entry } from '../testing/rows.ts'
import { Balances } from './balances.ts'
import { readCheckpoints } from './checkpoint.ts'
import { commitFlush } from './commit.ts'
import { lowestIdAt } from './leaves.ts'
import { openLeaf, sealBucket } from './open-leaves.ts'
import { ReadDatabases } from './read-databases.ts'
import { checkRollups } from './rollup-check.ts'
import { leavesOf, type Leaf } from './rollup-leaves.ts'
import { arm, cover, foldDeltas, mergeRanges, rangesOf, rebuildLeaf, rollUp } from './rollups.ts'

let server: TestPostgres
before(async () => {
  server = await startTestPostgres()
})
after(() => server.stop())

const day = 86_400_000
const noon = Math.floor(Date.now() / day) * day + day / 2
const bucket = 2
const partitions = [...Array(128).keys()]
const own = partitions.filter((one) => one % testLayout.buckets === bucket)

function accountOf(wanted: number): string {
  for (;;) {
    const accountId = crypto.randomUUID()
    if (partitionOfAccount(accountId) % testLayout.buckets === wanted) return accountId
  }
}

interface Scene {
  url: string
  connection: Connection
  balances: Balances
  close(): Promise<void>
}

async function setScene(): Promise<Scene> {
  const url = await createTestLedger(server)
  const connection = await openConnection(url)
  await claimAll(connection, partitions)
  const { buckets } = testLayout
  const databases = new ReadDatabases({ databaseUrls: [url], buckets, logger: { warn: () => {} } })
  const close = async (): Promise<void> => {
    await databases.close()
    await connection.close()
  }
  return { url, connection, balances: new Balances(databases), close }
}

function bytesOf(id: string): Uint8Array {
  const bytes = parseUuid(id)
  assert(bytes)
  return bytes
}

const { signal } = new AbortController()

/** Seconds around noon into which ids, spans and bounds fall. */
const seconds = 40

class Interleaving {
  readonly #random: Random
  readonly #scene: Scene
  readonly #accounts = Array.from({ length: 4 }, () => accountOf(bucket))
  readonly #written: Entry[] = []
  readonly #open = new Set<number>()

  constructor(scene: Scene, random: Random) {
    this.#scene = scene
    this.#random = random
  }

  #time(): number {
    return noon + this.#random.below(seconds * 1000)
  }

  #entry(): Entry {
    const random = this.#random
    const old = this.#written.length > 0 && random.chance(0.2)
    if (old) {
      const entry = random.pick(this.#written)
      return random.chance(0.5) ? entry : { ...entry, amount: random.int64() }
    }
    const accountId = random.pick(this.#accounts)
    const id = random.chance(0.2) ? crypto.randomUUID() : idAt(this.#time())
    const createdAt = random.chance(0.3) ? this.#time() - 40 * day : this.#time()
    return { accountId, id, amount: random.int64(), createdAt }
  }

  /** As a worker would: where something may be there already, leaves are sealed first. */
  async #flush(): Promise<void> {
    const { connection } = this.#scene
    const entries = Array.from({ length: this.#random.between(1, 12) }, () => this.#entry())
    const seen = new Set(this.#written.map(({ id }) => id))
    const repeats = entries.some(({ id }) => seen.has(id) || !seen.add(id))
    if (repeats) await this.#seal()
    const mayRepeat = repeats && this.#random.chance(0.5)
    const flush = flushOf(entries, await readCheckpoints(connection, partitions), mayRepeat)
    for (const rows of flush.buckets) rows.isOpen = this.#open.size > 0
    assert.equal((await commitFlush(connection, flush)).kind, 'committed')
    this.#written.push(...entries)
  }

  async #openLeaf(): Promise<void> {
    const from = noon + this.#random.below(seconds) * 1000
    const held = await claimAll(this.#scene.connection, own)
    const span = { from, to: from + this.#random.between(1, 8) * 1000 }
    if ((await openLeaf(this.#scene.connection, bucket, span, held)) === undefined) {
      this.#open.add(from)
    }
  }

  async #seal(): Promise<void> {
    await sealBucket(this.#scene.connection, bucket)
    this.#open.clear()
  }

  async #leaf(): Promise<Leaf> {
    const leaves = (await leavesOf(this.#scene.connection, true)).filter(
      (leaf) => leaf.bucket === bucket && leaf.hasKey,
    )
    return this.#random.pick(leaves)
  }

  #bound(): string | undefined {
    return this.#random.chance(0.2) ? undefined : lowestIdAt(this.#time())
  }

  async #rollUpPartly(): Promise<void> {
    const { connection } = this.#scene
    const [leaf, bound] = [await this.#leaf(), this.#bound()]
    if (this.#random.chance(0.5)) await arm(connection, leaf, bound)
    // Covering what nobody has armed, or armed otherwise, must be refused.
    else await cover(connection, leaf, bound)
  }

  /** Somebody is killed in the middle of rolling up. */
  async #die(): Promise<void> {
    const victim = await openConnection(this.#scene.url)
    const work = rollUp(victim, await this.#leaf(), this.#bound()).catch(() => undefined)
    for (let i = this.#random.below(20); i > 0; i--) await new Promise((go) => setTimeout(go, 0.2))
    victim.destroy()
    await work
  }

  async #merge(): Promise<void> {
    const { leaf } = await this.#leaf()
    const ranges = await rangesOf(this.#scene.connection, leaf)
    const from = this.#random.below(Math.max(1, ranges.length))
    const some = ranges.slice(from, from + 3)
    if (some.length > 1) assert(await mergeRanges(this.#scene.connection, leaf, some))
  }

  async step(): Promise<string> {
    const { connection } = this.#scene
    const steps: [string, number, () => Promise<unknown>][] = [
      ['flush', 12, () => this.#flush()],
      ['open', 2, () => this.#openLeaf()],
      ['seal', 1, () => this.#seal()],
      ['roll up', 5, async () => rollUp(connection, await this.#leaf(), this.#bound())],
      ['half', 2, () => this.#rollUpPartly()],
      ['die', 1, () => this.#die()],
      ['fold', 2, () => foldDeltas(connection)],
      ['merge', 2, () => this.#merge()],
      ['rebuild', 1, async () => rebuildLeaf(connection, await this.#leaf())],
    ]
    const all = steps.flatMap((step) => Array<typeof step>(step[1]).fill(step))
    const [name, , run] = this.#random.pick(all)
    await run()
    return name
  }

  async check(): Promise<void> {
    const { connection, balances } = this.#scene
    const at = this.#random.chance(0.5) ? undefined : new Date(this.#time()).toISOString()
    const until = at === undefined ? '' : `AND created_at <= '${at}'`
    for (const account of this.#accounts) {
      const expected = await connection.queryOne<{ text: string }>(
        `SELECT concat_ws(' ', coalesce(sum(amount), 0), count(*), (array_agg(id ORDER BY id))[1],
           (array_agg(id ORDER BY id DESC))[1]) AS text
         FROM ledger.transactions WHERE account_id = '${account}' ${until}`,
      )
      const bytes = bytesOf(account)
      const found = await balances.of(bytes, { signal, at })
      const { balance = '0', count = '0', first, last } = found ?? {}
      const ids = first && last ? [first.id, last.id] : []
      assert.equal([balance, count, ...ids].join(' '), expected?.text)
    }
    assert.deepEqual(await checkRollups(connection), [])
  }
}

for (const seed of [1, 2].map((one) => one + (process.pid % 1000) * 10)) {
  test(`whatever is written, sealed and rolled up in any order, balances are exact (${seed})`, async () => {
    const scene = await setScene()
    const random = new Random(seed)
    const interleaving = new Interleaving(scene, random)
    const done: string[] = []
    try {
      for (let i = 0; i < 100; i++) {
        done.push(await interleaving.step())
        await interleaving.check()
      }
    } catch (error) {
      throw new Error(`after ${done.join(', ')}`, { cause: error })
    } finally {
      await scene.close()
    }
  })
}

test('while flushes run, two roll up and one rebuilds, no reader ever sees half of it', async () => {
  const scene = await setScene()
  const { url, connection, balances } = scene
  const accounts = Array.from({ length: 4 }, (_, one) => accountOf(one))
  const stop = { now: false, flushes: 0, covered: 0, reads: 0 }
  const until = async (work: () => Promise<void>): Promise<void> => {
    while (!stop.now) await work()
  }
  // What a flush adds to an account is nothing, so that a balance other than 0 is half of a flush.
  const flushing = until(async () => {
    const entries = accounts.flatMap((accountId) =>
      Array.from({ length: 10 }, (_, index) => {
        const time = noon + ((stop.flushes * 7 + index * 131) % (seconds * 1000))
        const id = index < 2 ? crypto.randomUUID() : idAt(time)
        const amount = index % 2 === 0 ? 5n : -5n
        return { accountId, id, amount, createdAt: noon }
      }),
    )
    const checkpoints = await readCheckpoints(connection, partitions)
    assert.equal((await commitFlush(connection, flushOf(entries, checkpoints))).kind, 'committed')
    stop.flushes++
  })
  const rolling = [1, 2].map(async (seed) => {
    const random = new Random(seed)
    const roller = await openConnection(url)
    await until(async () => {
      const leaves = (await leavesOf(roller, true)).filter(({ pages }) => pages > 0)
      if (leaves.length === 0) return
      const leaf = random.pick(leaves)
      const high = lowestIdAt(noon + random.below(seconds * 1000))
      if (await rollUp(roller, leaf, random.chance(0.05) ? undefined : high)) stop.covered++
      await foldDeltas(roller)
      if (random.chance(0.1)) await rebuildLeaf(roller, random.pick(leaves))
    })
    await roller.close()
  })
  const reading = accounts.map((account) =>
    until(async () => {
      const found = await balances.of(bytesOf(account), { signal })
      if (found === undefined) return
      assert.equal(found.balance, '0')
      assert.equal(Number(found.count) % 10, 0)
      stop.reads++
    }),
  )
  const work = [flushing, ...rolling, ...reading]
  const ended = Promise.all(work)
  const timer = setTimeout(() => (stop.now = true), 3000)
  await ended.finally(() => {
    stop.now = true
    clearTimeout(timer)
  })
  assert(stop.flushes > 20 && stop.covered > 5 && stop.reads > 20, JSON.stringify(stop))
  assert.deepEqual(await checkRollups(connection), [])
  await scene.close()
})
