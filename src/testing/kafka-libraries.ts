// The jars of a real Apache Kafka, downloaded once per clone.
// In:  scripts/pom.xml, `mvn` on the path.
// Out: the directory they are in.
// Absent: running them (kafka-broker.ts).

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

const project = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const pom = join(project, 'scripts', 'pom.xml')
const cache = join(project, 'node_modules', '.cache', 'kafka')

/**
 * The directory with the broker's jars, downloaded once per clone even when several processes ask
 * at the same time.
 */
export async function brokerLibraries(): Promise<string> {
  const version = /<artifactId>kafka_[^]*?<version>(.*?)<\/version>/.exec(
    await readFile(pom, 'utf8'),
  )?.[1]
  const libraries = join(cache, `libs-${version}`)
  await mkdir(cache, { recursive: true })
  while (!existsSync(libraries)) {
    if (!(await takeLock())) {
      await delay(200)
      continue
    }
    try {
      if (!existsSync(libraries)) await download(libraries)
    } finally {
      await rm(lock, { recursive: true, force: true })
    }
  }
  return libraries
}

const lock = join(cache, 'lock')

/** A directory is made by one process only; a lock whose owner is gone is taken away. */
async function takeLock(): Promise<boolean> {
  try {
    await mkdir(lock)
    await writeFile(join(lock, 'pid'), String(process.pid))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const owner = Number(await readFile(join(lock, 'pid'), 'utf8').catch(() => '0'))
  if (owner > 0 && !existsSync(`/proc/${owner}`)) await rm(lock, { recursive: true, force: true })
  return false
}

async function download(target: string): Promise<void> {
  const partial = `${target}.partial`
  await rm(partial, { recursive: true, force: true })
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${partial}`]
  await run('mvn', ['-q', '-B', '-f', pom, ...goal])
  await rename(partial, target)
}
