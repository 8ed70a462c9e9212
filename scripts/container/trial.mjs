// Runs what an image would run, as compose.yaml would: as its user, without capabilities, on files
// that are read-only but for a cache and the data, with its entry point as process 1 of its own.
// In:  a directory with the image's files; what the image is run with.
// Out: nothing, or a SetupError that says what was not as it should be.
// Absent: a container engine, limits of memory and CPU.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { SetupError, run, say } from '../run.mjs'
import { assignments } from './layers.mjs'

const data = '/var/lib/transaction-ledger'
const cache = '/var/cache/transaction-ledger'
const readyMs = 120_000
const stopMs = 45_000

/** `$0` is the directory with the files, `$1` where the data is kept, `$2` the user's number. */
const isolate = `
  ip link set lo up &&
  mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" &&
  mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t tmpfs tmp "$0/tmp" &&
  mount -t tmpfs -o "mode=0700,uid=$2,gid=$2,size=512m" cache "$0${cache}" &&
  mount --bind "$1" "$0${data}" &&
  root=$0 user=$2 && shift 2 &&
  exec chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs \\
    --inh-caps=-all --bounding-set=-all env --ignore-environment --chdir=${data} "$@"`

export async function tryImage(directory, image, keep) {
  const uid = Number(image.user.split(':')[0])
  fs.mkdirSync(keep, { recursive: true })
  fs.chownSync(keep, uid, uid)
  const account = await firstRun({ directory, image, keep, uid })
  await secondRun({ directory, image, keep, uid }, account)
  say('The image starts, is healthy, persists, mends its PostgreSQL, and stops when asked.')
}

/** Persists a transaction and stops cleanly; the account that has it. */
async function firstRun(settings) {
  const container = await start(settings)
  try {
    const account = await post(container)
    await expectBalance(container, account)
    say(`processes: ${(await processes(container)).map(({ name }) => name).join(', ')}`)
    await stop(container, settings.image.stopSignal)
    return account
  } finally {
    container.child.kill('SIGKILL')
  }
}

/** On the same data: it is all there, and a killed PostgreSQL is started again and leaves nothing. */
async function secondRun(settings, account) {
  const container = await start(settings)
  try {
    await expectBalance(container, account)
    const [postmaster] = (await processes(container)).filter(({ name }) => name === 'postgres')
    process.kill(postmaster.pid, 'SIGKILL')
    await until('the killed PostgreSQL to be replaced', readyMs, async () => {
      const now = await processes(container)
      const gone = now.every(({ pid, state }) => pid !== postmaster.pid && state !== 'Z')
      return gone && now.some(({ name }) => name === 'postgres')
    })
    await until('readiness after that', readyMs, () => healthy(container, '/readyz'))
    await expectBalance(container, account)
    await stop(container, settings.image.stopSignal)
  } finally {
    container.child.kill('SIGKILL')
  }
}

/** Starts the entry point and waits until the image's own health check is content. */
async function start({ directory, image, keep, uid }) {
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--net', '--ipc']
  const command = [...namespaces, '--uts', '--kill-child', '/bin/sh', '-c', isolate]
  const words = [directory, keep, String(uid), ...assignments(image.env), ...image.entrypoint]
  const child = spawn('unshare', [...command, ...words], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const exited = once(child, 'exit')
  const container = { child, exited, directory, image, uid }
  await until('process 1', readyMs, () => {
    if (child.exitCode !== null) throw new SetupError(`It ended with ${child.exitCode}.`)
    const children = fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    container.first = Number(children.trim().split(' ')[0])
    return container.first > 0
  })
  await until('its health check', readyMs, () => healthy(container))
  await until('readiness', readyMs, () => healthy(container, '/readyz'))
  return container
}

/** As `docker exec` would run it: in the namespaces, on the files and as the user of the container. */
async function healthy({ child, first, image, uid }, ...args) {
  if (child.exitCode !== null) throw new SetupError(`It ended with ${child.exitCode}.`)
  const into = ['--target', String(first), '--mount', '--pid', '--net', '--root', '--wd']
  const user = ['--setuid', String(uid), '--setgid', String(uid)]
  const words = ['env', '--ignore-environment', ...assignments(image.env), ...image.healthcheck]
  const { code } = await run('nsenter', [...into, ...user, ...words, ...args])
  return code === 0
}

/** Runs a few lines of JavaScript in the network of the container; what they print is JSON. */
async function ask({ first }, source) {
  const inside = ['--target', String(first), '--net', process.execPath, '--input-type=module']
  const { code, output } = await run('nsenter', [...inside, '--eval', source])
  if (code !== 0) throw new SetupError(`A request failed.\n${output}`)
  return JSON.parse(output)
}

async function post(container) {
  const account = randomUUID()
  const batch = JSON.stringify([{ id: randomUUID(), account_id: account, amount: '1250' }])
  const status = await ask(
    container,
    `const answer = await fetch('http://127.0.0.1:7070/v1/transactions', {
       method: 'POST', headers: { 'content-type': 'application/json' }, body: ${JSON.stringify(batch)} })
     console.log(answer.status)`,
  )
  if (status !== 202) throw new SetupError(`A batch: expected 202, found ${status}.`)
  return account
}

function expectBalance(container, account) {
  return until(`the balance of ${account}`, readyMs, async () => {
    const { balance } = await ask(
      container,
      `const answer = await fetch('http://127.0.0.1:7070/v1/accounts/${account}')
       console.log(await answer.text())`,
    )
    return balance === '1250'
  })
}

/** Every process of the container, in the numbers of this machine. */
async function processes({ first }) {
  const namespace = (pid) => fs.readlinkSync(`/proc/${pid}/ns/pid`)
  const ours = namespace(first)
  return fs.readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      if (namespace(pid) !== ours) return []
      const [, name, state] = /^\d+ \((.*)\) (\w)/s.exec(
        fs.readFileSync(`/proc/${pid}/stat`, 'utf8'),
      )
      return [{ pid: Number(pid), name, state }]
    } catch {
      return []
    }
  })
}

async function stop({ first, exited }, signal) {
  process.kill(first, signal)
  const late = sleep(stopMs, ['no exit in time'], { ref: false })
  const [code] = await Promise.race([exited, late])
  if (code !== 0) throw new SetupError(`${signal}: expected exit code 0, found ${code}.`)
}

async function until(what, milliseconds, holds) {
  const deadline = performance.now() + milliseconds
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new SetupError(`Waited ${milliseconds / 1000} s for ${what}.`)
    }
    await sleep(200)
  }
}
