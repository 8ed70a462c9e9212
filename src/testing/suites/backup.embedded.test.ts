import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Client as Database } from 'pg'
import { assertClean, check, checkEventually } from '../checker.ts'
import { confusedShape } from '../generate.ts'
import { temporaryDirectory } from '../guard.ts'
import { Program } from '../program.ts'
import { replicated, startTestPostgres } from '../postgres.ts'
import { Setting } from './setting.ts'

const page = join(import.meta.dirname, '../../../docs/backup.md')
const shape = { ...confusedShape, batchItems: [1, 20, 300] }

/** The commands that a chapter of the page shows, in their order. */
async function documented(chapter: string, language: string): Promise<string[]> {
  const text = await readFile(page, 'utf8')
  const own = text.split(/^## /m).find((part) => part.startsWith(`${chapter}\n`)) ?? ''
  const blocks = [...own.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
  return blocks.filter(([, kind]) => kind === language).map(([, , body = '']) => body)
}

function shell(command: string | undefined, variables: Readonly<Record<string, string>>): void {
  assert(command !== undefined, 'the page shows the command')
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', ...variables }
  const { status, stderr } = spawnSync('/bin/sh', ['-ec', command], { env, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
}

async function sent(setting: Setting, batches: number): Promise<void> {
  const wanted = setting.history.batches.length + batches
  while (setting.history.batches.length < wanted) await delay(20)
}

const started: Program[] = []
after(async () => {
  for (const program of started) {
    program.kill('SIGKILL')
    await program.exited
  }
})

/** The program where a backup was put. */
function programOn(dataDir: string, databaseUrl?: string): Program {
  const flags = ['--listen', '127.0.0.1:0', '--data-dir', dataDir]
  if (databaseUrl !== undefined) flags.push('--database-url', databaseUrl)
  const program = new Program(flags)
  started.push(program)
  return program
}

/** A base backup of a server that is written to, by the commands of the page. */
async function backUpPostgres(setting: Setting, backup: string): Promise<void> {
  const chapter = 'PostgreSQL of your own'
  const [start = '', stop = ''] = await documented(chapter, 'sql')
  const [copy, wal] = await documented(chapter, 'sh')
  const variables = { PGDATA: join(setting.postgres.directory, 'cluster'), BACKUP: backup }
  const session = new Database(setting.postgres.url)
  await session.connect()
  await session.query(start)
  shell(copy, variables)
  // More comes in between, so that files of several instants have to be made one again.
  await sent(setting, 20)
  const { rows } = await session.query<{ labelfile: string }>(stop)
  await session.end()
  await writeFile(join(backup, 'backup_label'), rows[0]?.labelfile ?? '')
  shell(wal, variables)
}

test('older tables beside a newer log catch up to the same books; the reverse halts', async () => {
  const settings = { ...replicated, wal_keep_size: '1GB' }
  const setting = await Setting.open({ log: 'embedded', databases: 1, shape, clients: 2, settings })
  const directory = temporaryDirectory('backup')
  try {
    const { history } = setting
    const program = await setting.startReady('--keep-log')
    const load = setting.startLoad()
    await sent(setting, 60)
    const backup = join(directory.path, 'base')
    await backUpPostgres(setting, backup)
    await sent(setting, 60)
    await load.stop()
    const { rows } = await setting.assertAllKept()
    await setting.assertStops(program)

    const restored = await startTestPostgres({ backup, settings })
    try {
      const url = new URL(setting.databases[0] ?? '')
      url.port = new URL(restored.url).port
      const before = await check({ databases: [url.href], history, underway: true })
      assert(before.rows < rows, 'the backup is older')
      const again = await programOn(setting.directory, url.href).ready()
      const report = await checkEventually({ databases: [url.href], history })
      assertClean(report)
      assert.equal(report.rows, rows)
      assert.equal((await again.stop()).code, 0)
    } finally {
      await restored.stop()
    }

    // A log that never had those records.
    await rm(join(setting.directory, 'log'), { recursive: true })
    const other = await setting.start().ready()
    const { reason } = await other.logged(({ msg }) => /^partitions halted/.test(msg ?? ''))
    assert.match(String(reason), /has offset \d+ of log ".*", and the log is ".*"/)
  } finally {
    await setting.close()
    directory.remove()
  }
})

test('a copy of a stopped data directory is the ledger; its older log halts newer tables', async () => {
  const setting = await Setting.open({ log: 'embedded', databases: 0, shape, clients: 2 })
  const directory = temporaryDirectory('backup')
  try {
    const [copy] = await documented('A data directory with everything', 'sh')
    const backup = join(directory.path, 'data')
    for (const round of [0, 1]) {
      const program = await setting.startReady()
      const load = setting.startLoad()
      await sent(setting, 40)
      await load.stop()
      await setting.assertAllKept()
      await setting.assertStops(program)
      if (round === 1) continue
      shell(copy, { DATA_DIR: setting.directory, BACKUP: backup })
      const copied = await programOn(backup).ready()
      assertClean(await check({ databases: [copied.databaseUrl], history: setting.history }))
      assert.equal((await copied.stop()).code, 0)
    }
    const log = join(setting.directory, 'log')
    await rm(log, { recursive: true })
    await cp(join(backup, 'log'), log, { recursive: true })
    const older = await setting.start().ready()
    const { reason } = await older.logged(({ msg }) => /^partitions halted/.test(msg ?? ''))
    assert.match(String(reason), /expected offset \d+, the log ends before \d+/)
  } finally {
    await setting.close()
    directory.remove()
  }
})
