// The databases a command works on: those that are named, or the embedded one, running or not.
// In:  configuration.
// Out: URLs, for as long as they are used.
// Absent: creating a ledger: where there is none, that is said.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { invalid } from '../flags.ts'
import type { Logger } from '../observe/logger.ts'
import { runningEmbeddedUrl, startEmbeddedPostgres } from '../postgres/embedded.ts'

/** @throws LedgerError CONFIG_INVALID where neither is there */
export async function withDatabases<Result>(
  config: Config,
  logger: Logger,
  use: (databaseUrls: readonly string[]) => Promise<Result>,
): Promise<Result> {
  if (config.databaseUrls.length > 0) return use(config.databaseUrls)
  const directory = join(config.dataDir, 'postgres')
  if (!existsSync(join(directory, 'cluster', 'PG_VERSION'))) {
    invalid('data-dir', 'the directory of a ledger (or --database-url)', config.dataDir)
  }
  const running = await runningEmbeddedUrl(directory)
  if (running !== undefined) return use([running])
  const postgres = await startEmbeddedPostgres({ directory, logger })
  try {
    return await use([postgres.url])
  } finally {
    await postgres.stop()
  }
}
