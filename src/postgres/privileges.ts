// Under which user PostgreSQL runs: it refuses to be root.
// In:  who we are, and the paths the server must reach.
// Out: how to spawn a program so that it may run and reach them.
// Absent: what is spawned.

import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { chown, readFile } from 'node:fs/promises'
import { inExecutable } from '../artifact/executable.ts'
import { LedgerError } from '../errors.ts'

/** A way to run the server's programs. */
export interface ServerUser {
  /** How messages name it. */
  readonly name: string
  spawn(program: string, args: readonly string[], options: SpawnOptions): ChildProcess
  /** Makes a file or directory the server's own. */
  own(path: string): Promise<void>
}

/**
 * The server's programs see nothing of our environment: no credentials, no locale, no PG*
 * variables.
 */
const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/**
 * The user to run the server as: ourselves, or when we are root, `postgres` if there is one, else
 * `nobody`.
 *
 * `directory` must exist. Root often keeps its clone or its data below a directory nobody else may
 * enter (/root). There the server keeps the one capability of passing through directories, which it
 * gets from `setpriv`.
 */
export async function serverUser(directory: string, program: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return ourselves
  const account = await unprivilegedAccount()
  await chown(directory, account.uid, account.gid)
  const reach = ['-c', 'test -w "$0" && exec "$1" --version', directory, program]
  const plain = asAccount(account)
  if (spawnSync('/bin/sh', reach, { ...account, env: environment, cwd: '/' }).status === 0) {
    return plain
  }
  const wrapped = [...passingThrough(account), '/bin/sh', ...reach]
  if (spawnSync('setpriv', wrapped, { env: environment, cwd: '/' }).status === 0) {
    return asAccountPassingThrough(account)
  }
  throw new LedgerError(
    'CONFIG_INVALID',
    `--data-dir: PostgreSQL does not run as root, and the user "${account.name}" it runs as ` +
      `instead cannot enter ${directory} or ${program}. Give a --data-dir ` +
      (inExecutable ? 'and a --cache-dir ' : '') +
      'that every user can enter, such as /var/lib/transaction-ledger, or start the program as ' +
      'another user.',
  )
}

interface Account {
  name: string
  uid: number
  gid: number
}

async function unprivilegedAccount(): Promise<Account> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const found = lines.find((fields) => fields[0] === name)
    if (found !== undefined) return { name, uid: Number(found[2]), gid: Number(found[3]) }
  }
  throw new LedgerError(
    'CONFIG_INVALID',
    'PostgreSQL does not run as root: expected a user "postgres" or "nobody" in /etc/passwd, ' +
      'found neither.',
  )
}

const ourselves: ServerUser = {
  name: 'the current user',
  spawn: (program, args, options) => spawn(program, args, { ...options, env: environment }),
  own: async () => {},
}

function asAccount(account: Account): ServerUser {
  const { name, uid, gid } = account
  return {
    name,
    spawn: (program, args, options) =>
      spawn(program, args, { ...options, env: environment, uid, gid }),
    own: (path) => chown(path, uid, gid),
  }
}

function asAccountPassingThrough(account: Account): ServerUser {
  return {
    ...asAccount(account),
    // setpriv replaces itself with the program, so the process id is the program's.
    spawn: (program, args, options) =>
      spawn('setpriv', [...passingThrough(account), program, ...args], {
        ...options,
        env: environment,
      }),
  }
}

function passingThrough({ uid, gid }: Account): string[] {
  const capability = '+dac_read_search'
  return [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    // initdb probes its own files with access(2), which would drop what is kept below.
    '--securebits=+no_setuid_fixup',
    `--inh-caps=${capability}`,
    `--ambient-caps=${capability}`,
  ]
}
