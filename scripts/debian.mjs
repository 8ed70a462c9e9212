// Debian packages: installed when we may, named in one line when we may not.
// In:  package names.
// Out: installed packages, or a SetupError with the line to paste.
// Absent: which packages are needed, and when (kafka-addon.mjs, setup.mjs).

import { SetupError, run, say, tail } from './run.mjs'

/** `reason` completes the sentence "These Debian packages are needed …". */
export async function installDebianPackages(names, reason) {
  if (names.length === 0) return
  const isRoot = process.getuid?.() === 0
  const hasApt = (await run('apt-get', ['--version'])).code === 0
  if (!isRoot || !hasApt) throw new SetupError(howTo(names, reason, hasApt))
  say(`Installing Debian packages ${reason}: ${names.join(' ')}.`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  // An update may fail for a source that has nothing to do with us; the installation decides.
  await run('apt-get', ['update'], { env })
  const install = ['install', '-y', '--no-install-recommends', ...names]
  const { code, output } = await run('apt-get', install, { env })
  if (code !== 0) throw new SetupError(`apt-get ${install.join(' ')} failed.\n${tail(output)}`)
}

function howTo(names, reason, hasApt) {
  if (!hasApt) return `Needed ${reason}, under their Debian names: ${names.join(' ')}.`
  return (
    `These Debian packages are needed ${reason}. Install them, then run the same command again:\n\n` +
    `  sudo apt-get update && sudo apt-get install -y ${names.join(' ')}\n`
  )
}
