import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { cacheDirs, describeConfig, maskUrl, readConfig, type Config } from './config.ts'
import { LedgerError } from './errors.ts'
import { environmentName, flags, helpText, shows } from './flags.ts'

function config(argv: string[], environment: Record<string, string> = {}): Config {
  const command = readConfig(argv, environment)
  assert.equal(command.kind, 'run')
  return (command as { config: Config }).config
}

function checkRefused(argv: string[], ...parts: string[]): void {
  assert.throws(
    () => readConfig(argv, {}),
    (error) => {
      assert.ok(error instanceof LedgerError)
      assert.equal(error.code, 'CONFIG_INVALID')
      for (const part of parts) assert.ok(error.message.includes(part), error.message)
      return true
    },
  )
}

const external = ['--database-url', 'postgres://u:secret@db/ledger', '--brokers', 'k:9092']

test('with nothing given, one process does everything on 127.0.0.1:7070', () => {
  const found = config([])
  assert.deepEqual([...found.roles], ['ingress', 'worker', 'query'])
  assert.deepEqual(found.listen, { host: '127.0.0.1', port: 7070 })
  assert.deepEqual(found.databaseUrls, [])
  assert.equal(found.brokers, undefined)
})

test('a flag wins over its environment variable, which wins over the default', () => {
  assert.equal(config([], { LINGER: '7' }).lingerMs, 7)
  assert.equal(config(['--linger', '9'], { LINGER: '7' }).lingerMs, 9)
  assert.equal(config(['--linger=0']).lingerMs, 0)
  assert.equal(config([], { LINGER: '' }).lingerMs, 100)
})

test('role query reads from replicas without any primary; no other role does', () => {
  const replicas = ['--read-url', 'postgres://u:secret@r1/ledger,postgres://u@r2/ledger']
  const found = config(['--role', 'query', ...replicas])
  assert.deepEqual(found.readUrls, ['postgres://u:secret@r1/ledger', 'postgres://u@r2/ledger'])
  assert.deepEqual(found.databaseUrls, [])
  assert(!JSON.stringify(describeConfig(found)).includes('secret'))
  checkRefused(['--role', 'worker', '--brokers', 'k:1', ...replicas], '--read-url', 'role query')
  checkRefused(['--role', 'query'], '--database-url')
  checkRefused(['--read-url', 'r1'], '--read-url (READ_URL)', 'postgresql://')
  checkRefused(['--query-timeout', '0'], '--query-timeout', 'from 1 to 600')
})

test('every flag is in --help with its environment variable', () => {
  const help = helpText([])
  for (const flag of flags) {
    assert.ok(help.includes(`--${flag.name}`), flag.name)
    if (shows.has(flag.name)) continue
    assert.ok(help.includes(`Environment: ${environmentName(flag.name)}.`), flag.name)
  }
})

test('a bad value names the flag, what it allows and what it got', () => {
  checkRefused(['--role', 'boss'], '--role (ROLE)', 'all, ingress, worker, query', '"boss"')
  checkRefused(['--listen', '7070'], '--listen (LISTEN)', 'HOST:PORT', '"7070"')
  checkRefused(['--listen', 'localhost:70700'], '--listen')
  checkRefused(['--buckets', '12'], '--buckets', 'power of two', '"12"')
  checkRefused(['--workers', '0'], '--workers', 'from 1 to 64', '"0"')
  checkRefused(['--max-body', '1TB'], '--max-body', '"1TB"')
  checkRefused(['--partitions', '0-128'], '--partitions', '0 to 127', '"0-128"')
  checkRefused(['--partitions', '9-3'], '--partitions')
  checkRefused(['--crash-at', 'lunch'], '--crash-at', 'after-append', '"lunch"')
  checkRefused(['--log-level', 'loud'], '--log-level', 'trace', '"loud"')
  checkRefused(['--database-url', 'mysql://u:hidden@h/d'], '--database-url', '***')
  checkRefused(['--kafka-properties', 'nonsense'], '--kafka-properties')
  checkRefused(['--linger', '1', '--linger', '2'], '--linger', 'once')
  checkRefused(['--linger'], '--linger', 'a value')
})

test('an unknown flag is refused with the flags there are', () => {
  checkRefused(['--rolle', 'all'], '"--rolle"', '--role', '--data-dir')
  checkRefused(['worker'], '"worker"')
})

test('roles that would lose sight of each other are refused', () => {
  checkRefused(['--role', 'worker'], '--role', '--brokers')
  checkRefused(['--role', 'ingress'], '--role', '--brokers')
  checkRefused(['--role', 'query'], '--database-url')
  checkRefused(['--brokers', 'k:9092'], '--database-url')
  checkRefused(['--partitions', '0-63'], '--partitions', 'embedded log')
  config(['--partitions', '0-127'])
  config(['--role', 'ingress', '--brokers', 'k:9092'])
  config(['--role', 'worker', ...external])
})

test('roles, partitions, sizes and properties are read as written', () => {
  const found = config([
    ...['--role', 'ingress, worker', '--partitions', '0-2,64', '--max-body', '4MiB'],
    ...['--kafka-properties', 'security.protocol=SASL_SSL,sasl.password=a=b', ...external],
  ])
  assert.deepEqual([...found.roles], ['ingress', 'worker'])
  assert.deepEqual(found.partitions, [0, 1, 2, 64])
  assert.equal(found.bodyBytesMax, 4 * 1024 ** 2)
  assert.deepEqual(found.kafkaProperties, {
    'security.protocol': 'SASL_SSL',
    'sasl.password': 'a=b',
  })
})

test('there is a worker for every database', () => {
  const urls = 'postgres://a/x,postgres://b/x,postgres://c/x'
  assert.equal(config(['--workers', '1', '--database-url', urls]).workers, 3)
})

test('no secret is shown', () => {
  const shown = JSON.stringify(
    describeConfig(
      config([...external, '--receipt-key', 'hush', '--kafka-properties', 'sasl.password=quiet']),
    ),
  )
  for (const secret of ['secret', 'hush', 'quiet']) assert.ok(!shown.includes(secret), shown)
  assert.equal(maskUrl('postgres://u:secret@db/ledger'), 'postgres://u:***@db/ledger')
})

test('the cache is where the user’s caches are, else where the data is, else in a temporary directory', () => {
  const temporary = join(tmpdir(), `transaction-ledger-${process.geteuid?.() ?? 'cache'}`)
  const environment = { XDG_CACHE_HOME: '/x', HOME: '/h' }
  const usual = ['/x/transaction-ledger', '/h/.cache/transaction-ledger']
  assert.deepEqual(cacheDirs(undefined, '/d', environment), [...usual, '/d/cache', temporary])
  assert.deepEqual(cacheDirs(undefined, '/d', {}), ['/d/cache', temporary])
  assert.deepEqual(cacheDirs(undefined, undefined, { HOME: '' }), [temporary])
  assert.deepEqual(cacheDirs('/c', '/d', environment), ['/c/transaction-ledger'])
  assert.deepEqual(config(external, { XDG_CACHE_HOME: 'relative' }).cacheDirs, [temporary])
  assert.deepEqual(config([], { CACHE_DIR: '/c' }).cacheDirs, ['/c/transaction-ledger'])
})
