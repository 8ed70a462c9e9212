// The machine and the versions that figures belong to.
// In:  nothing.
// Out: cores, memory, kernel, versions.
// Absent: names of hosts or users.

import { execFile } from 'node:child_process'
import { cpus, release, totalmem, type } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The commit that stands in the working directory, marked when files differ; undefined if none. */
async function gitCommit() {
  try {
    const { stdout } = await run('git', ['describe', '--always', '--dirty', '--abbrev=12'])
    return stdout.trim()
  } catch {
    return undefined
  }
}

export async function describeMachine() {
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim(),
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.versions.node,
    commit: await gitCommit(),
  }
}
