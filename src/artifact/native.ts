// Loads the native addons that are inside the executable, from where cache.ts has unpacked them.
// In:  an addon's name; scripts/binary/bundle.mjs puts these calls where a package would look
//      among its own files.
// Out: what the addon exports.
// Absent: addons of a clone, which their packages find themselves.

import { join } from 'node:path'
import { LedgerError, messageOf } from '../errors.ts'
import { unpacked } from './cache.ts'
import { archive } from './executable.ts'

export function nativeAddon(name: string): unknown {
  const directory = unpacked(name)
  const file = archive(name).archive.files.find(({ path }) => path.endsWith('.node'))
  if (file === undefined) throw new Error(`The archive ${name} holds no addon.`)
  const module = { exports: {} }
  try {
    process.dlopen(module, join(directory, file.path))
  } catch (cause) {
    throw new LedgerError(
      'DEPENDENCY_MISSING',
      `The addon ${name} does not load on this system: ${messageOf(cause)}.`,
      { cause },
    )
  }
  return module.exports
}
