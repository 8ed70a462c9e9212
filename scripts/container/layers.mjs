// Does what the instructions of a stage say, in a directory instead of an image.
// In:  instructions; a directory with the files of the base image.
// Out: the directory as the image would be; what the image would be run with.
// Absent: layers as such, their caching, and anything a registry has.

import fs from 'node:fs'
import path from 'node:path'
import { SetupError, run, say } from '../run.mjs'
import { contextEntries, readPairs } from './dockerfile.mjs'

/** Mounts live in a namespace of the command's own: nothing is left mounted. */
const mounts =
  'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && ' +
  'mount --bind /etc/resolv.conf "$0/etc/resolv.conf" && ' +
  // Which registry npm asks is a setting of this machine, and stays here.
  'if [ -f "$0/root/.npmrc" ] && [ -f ~/.npmrc ]; then ' +
  'mount --bind ~/.npmrc "$0/root/.npmrc"; fi && exec chroot "$0" "$@"'

/** Runs a command in a directory of files as root, with the network of this machine. */
async function runWithin(directory, command, { env, cwd = '/' }) {
  const words = ['env', '--ignore-environment', `--chdir=${cwd}`, ...assignments(env), ...command]
  const shell = ['--mount', '--propagation', 'private', '/bin/sh', '-c', mounts, directory]
  const { code } = await run('unshare', [...shell, ...words], { show: true })
  if (code !== 0) throw new SetupError(`${command.join(' ')}\nfailed with ${code}.`)
}

export function assignments(env) {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`)
}

const path0 = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Does the steps of a stage in `directory`.
 *
 * @param from directories of the stages that COPY --from may name
 * @returns what the image is run with: `{ env, user, cwd, entrypoint, healthcheck, stopSignal }`
 */
export async function applyStage(stage, { directory, context, from, env = {} }) {
  const image = { env: { PATH: path0, ...env }, user: 'root', cwd: '/', stopSignal: 'SIGTERM' }
  const args = {}
  for (const { keyword, flags, rest, words } of stage.steps) {
    say(`${keyword} ${rest.slice(0, 100)}`)
    const handler = handlers[keyword]
    if (handler === undefined) throw new SetupError(`Dockerfile: ${keyword} is not known here.`)
    await handler({ image, args, flags, rest, words, directory, context, from })
  }
  return image
}

const handlers = {
  ARG: ({ args, rest }) => Object.assign(args, readPairs(rest)),
  ENV: ({ image, rest }) => Object.assign(image.env, readPairs(rest)),
  USER: ({ image, rest }) => (image.user = rest),
  WORKDIR: ({ image, rest, directory }) => {
    image.cwd = rest
    fs.mkdirSync(path.join(directory, rest), { recursive: true })
  },
  RUN: ({ image, args, rest, directory }) =>
    runWithin(directory, ['/bin/sh', '-c', rest], {
      env: { HOME: '/root', ...image.env, ...args },
      cwd: image.cwd,
    }),
  COPY: copy,
  ENTRYPOINT: ({ image, rest }) => (image.entrypoint = JSON.parse(rest)),
  HEALTHCHECK: ({ image, rest }) => {
    image.healthcheck = JSON.parse(/CMD\s+(\[.*\])$/.exec(rest)[1])
  },
  STOPSIGNAL: ({ image, rest }) => (image.stopSignal = rest),
  EXPOSE: () => undefined,
  VOLUME: () => undefined,
  LABEL: () => undefined,
}

function copy({ image, flags, words, directory, context, from }) {
  const source = flags.from === undefined ? context : from[flags.from]
  const target = words.at(-1)
  const destination = path.join(directory, path.resolve(image.cwd, target))
  for (const word of words.slice(0, -1)) {
    if (word === '.') copyContext(context, destination)
    else copyOne(path.join(source, word), word, destination, target.endsWith('/'))
  }
  if (flags.chmod === undefined) return
  for (const word of words.slice(0, -1)) {
    const file = target.endsWith('/') ? path.join(destination, path.basename(word)) : destination
    fs.chmodSync(file, Number.parseInt(flags.chmod, 8))
  }
}

function copyContext(context, destination) {
  for (const entry of contextEntries(context)) {
    const source = path.join(context, entry)
    if (fs.existsSync(source)) copyOne(source, entry, path.join(destination, entry), false)
  }
}

function copyOne(source, word, destination, intoDirectory) {
  const isFile = fs.statSync(source).isFile()
  const target = isFile && intoDirectory ? path.join(destination, path.basename(word)) : destination
  fs.mkdirSync(path.dirname(target), { recursive: true })
  fs.cpSync(source, target, { recursive: true })
}
