// Other runtimes than Node, to run the client on: Bun and Deno, as npm has them.
// In:  the npm registry.
// Out: commands that run a JavaScript file with what the client needs and no more.
// Absent: the tests (client/test/).

import fs from 'node:fs'
import path from 'node:path'
import { npm } from './packages.mjs'
import { SetupError, root, say, tail } from './run.mjs'

/** Together 200 MB, so they are none of the packages that everybody installs. */
const packages = ['bun@1.4.5', 'deno@2.9.6']
const directory = path.join(root, 'node_modules/.cache', `runtimes-${packages.join('-')}`)

const commands = {
  bun: { file: /^@oven\/[^/]+\/bin\/bun$/, flags: [] },
  deno: { file: /^@deno\/[^/]+\/deno$/, flags: ['run', '--allow-net', '--allow-read'] },
}

/** Name to command and first arguments. */
export async function installRuntimes() {
  const modules = path.join(directory, 'node_modules')
  if (!fs.existsSync(modules)) {
    say(`Installing ${packages.join(' and ')} to run the client on.`)
    fs.mkdirSync(directory, { recursive: true })
    const flags = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund']
    const { code, output } = await npm(['install', '--prefix', directory, ...flags, ...packages])
    if (code !== 0) throw new SetupError(`Installing runtimes failed.\n${tail(output)}`)
  }
  const files = ['@oven', '@deno'].flatMap((scope) =>
    fs
      .readdirSync(path.join(modules, scope), { recursive: true })
      .map((file) => path.posix.join(scope, file)),
  )
  return Object.fromEntries(
    Object.entries(commands).map(([name, { file, flags }]) => {
      const found = files.find((one) => file.test(one))
      if (found === undefined) throw new SetupError(`${packages.join(', ')}: no ${name} in them.`)
      const command = path.join(modules, found)
      fs.chmodSync(command, 0o755)
      return [name, [command, ...flags]]
    }),
  )
}
