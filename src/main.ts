#!/usr/bin/env node
// The program's entry: argv and environment to configuration, configuration to a running process,
// signals to its end.
// In:  command line, environment, signals.
// Out: exit code 0 after a clean stop, 1 when it cannot work, 2 for a bad configuration.
// Absent: what the roles do (program.ts composes them).

import { setFlagsFromString } from 'node:v8'
import { useCache } from './artifact/cache.ts'
import { commandUsage, licensesText, usage, version, versionText } from './artifact/executable.ts'
import { commands } from './commands.ts'
import { describeConfig, readConfig, type Config } from './config.ts'
import { messageOf, reactionTo } from './errors.ts'
import { helpText } from './flags.ts'
import { createLogger, type Logger } from './observe/logger.ts'
import { armCrash } from './testing/crash.ts'

/**
 * V8 collects all garbage again when the heap has grown by so much over what was alive. Some 14 MB
 * are, and by its own rule it collected once a second under load, for 10 to 30 ms each, beside a
 * tenth of the program's CPU in its helper threads (--trace-gc).
 */
const heapGrowthPercent = 500

/** A second Ctrl-C after this long means now. */
const impatientMs = 1000

/** Ends the process for an error that waiting does not cure; a stack only for a bug of ours. */
function fail(logger: Logger, error: unknown): never {
  const known = reactionTo(error) !== undefined
  const stack = error instanceof Error ? error.stack : undefined
  logger.fatal(known ? {} : { stack }, messageOf(error))
  process.exit(1)
}

async function run(config: Config): Promise<void> {
  const logger = createLogger(config.logLevel, config.logFormat)
  logger.info({ version: version(), config: describeConfig(config) }, 'configuration')
  if (config.crashAt !== undefined) armCrash(config.crashAt)
  const onFatal = (error: unknown): never => fail(logger, error)
  process.on('uncaughtException', onFatal)
  process.on('unhandledRejection', onFatal)

  const starting = new AbortController()
  let askedAt = 0
  const stopRequested = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        // One Ctrl-C may come twice: from the terminal, and from npm, which passes it on.
        const again = askedAt > 0 && performance.now() - askedAt > impatientMs
        if (again && signal === 'SIGINT') process.exit(130)
        if (askedAt === 0) {
          askedAt = performance.now()
          logger.info({ signal }, 'stopping')
        }
        starting.abort()
        resolve()
      })
    }
  })
  // Only now is it known where the native parts of the executable may be unpacked.
  useCache(config.cacheDirs)
  const { startProgram } = await import('./program.ts')
  const program = await startProgram(config, logger, starting.signal, onFatal).catch(
    (error: unknown) => {
      if (starting.signal.aborted) {
        logger.info('stopped')
        process.exit(0)
      }
      return onFatal(error)
    },
  )
  if (config.migrateOnly) return
  await stopRequested
  const seconds = config.shutdownTimeoutMs / 1000
  setTimeout(() => {
    logger.fatal({ seconds }, 'not stopped in time; what is not persisted is in the log')
    process.exit(1)
  }, config.shutdownTimeoutMs).unref()
  await program.stop()
  logger.info('stopped')
  process.exit(0)
}

async function main(): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`)
  try {
    const command = readConfig()
    if (command.kind === 'run') await run(command.config)
    else if (command.kind === 'command') process.exitCode = await command.command.run(command.argv)
    else process.stdout.write(`${textOf(command.kind)}\n`)
  } catch (error) {
    if (reactionTo(error) !== 'exit') throw error
    process.stderr.write(`${messageOf(error)}\nRun with --help to see every flag.\n`)
    process.exit(2)
  }
}

function textOf(kind: 'help' | 'version' | 'licenses'): string {
  if (kind === 'version') return versionText()
  if (kind === 'licenses') return licensesText()
  const words = Object.entries(commands).map(
    ([word, command]) => `       ${commandUsage} ${word} --help   ${command?.summary ?? ''}`,
  )
  return helpText([...usage, ...words])
}

void main()
