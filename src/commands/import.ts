// transaction-ledger import FILE: every line of a file into the ledger, once, however often it is
// run.
// In:  arguments, a file, signals.
// Out: transactions; progress on standard error, a summary on standard output, the exit code.
// Absent: how lines are read and sent (import/).

import { Ledger, LedgerError as ClientError } from '#client'
import { Importer } from './import/importer.ts'
import { helpText, readOptions, type ImportOptions } from './import/options.ts'
import { Progress } from './import/progress.ts'
import { sourceOf } from './import/source.ts'
import { ErrorFile, readState, type ImportState } from './import/state.ts'

const exitCodes = { done: 0, failed: 1, refused: 3, interrupted: 130 }

/** How long what is under way may take after the first Ctrl-C. */
const patienceMs = 5000

export async function runImport(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv)
  if (options === undefined) {
    process.stdout.write(`${helpText}\n`)
    return exitCodes.done
  }
  const source = sourceOf(options.file)
  const { stateFile } = options
  const earlier = stateFile === undefined || options.restarts ? undefined : readState(stateFile)
  const progress = new Progress(standing(earlier), source.totalBytes, process.stderr)
  const errorFile = new ErrorFile(options.errorFile, earlier?.errorBytes ?? 0)
  const importer = new Importer({
    options,
    source,
    client: new Ledger({ url: options.url.href, retry: { forMs: options.retryForMs } }),
    earlier,
    errorFile,
    onProgress: (state) => progress.update(state),
  })
  const reading = new AbortController()
  const sending = new AbortController()
  const interrupt = interrupter(reading, sending)
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  try {
    await importer.run(reading.signal, sending)
    progress.end()
    process.stdout.write(`${summary(options, importer.state, earlier, progress.seconds)}\n`)
    return importer.state.refused > 0 ? exitCodes.refused : exitCodes.done
  } catch (error) {
    progress.end()
    return failed(error, options, importer.state, reading.signal.aborted)
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
    errorFile.close()
  }
}

/** The first signal ends the reading, and the second, or a while, the sending as well. */
function interrupter(reading: AbortController, sending: AbortController): () => void {
  return () => {
    if (reading.signal.aborted) sending.abort()
    else setTimeout(() => sending.abort(), patienceMs).unref()
    reading.abort()
  }
}

/** @throws what is neither the ledger's refusal nor an interruption */
function failed(
  error: unknown,
  options: ImportOptions,
  state: ImportState,
  isInterrupted: boolean,
): number {
  if (!isInterrupted && !(error instanceof ClientError)) throw error
  const reason = error instanceof ClientError ? error.message : 'Interrupted.'
  const reached = `Everything before line ${state.nextLine} is done with`
  const next =
    options.stateFile === undefined
      ? 'without --state a repetition sends all lines again, which doubles nothing.'
      : 'the same command goes on there.'
  process.stderr.write(`${reason}\n${reached}; ${next}\n`)
  return isInterrupted ? exitCodes.interrupted : exitCodes.failed
}

function standing(
  state: ImportState | undefined,
): Pick<ImportState, 'offset' | 'taken' | 'refused'> {
  return state ?? { offset: 0, taken: 0, refused: 0 }
}

function summary(
  options: ImportOptions,
  state: ImportState,
  earlier: ImportState | undefined,
  seconds: number,
): string {
  const format = (value: number): string => value.toLocaleString('en-US')
  const now = state.taken - (earlier?.taken ?? 0)
  const rate = format(Math.round(now / Math.max(seconds, 0.001)))
  const before = earlier === undefined ? '' : `, ${format(earlier.taken)} before`
  const lines = [
    `${format(now)} transactions taken in ${seconds.toFixed(1)} s (${rate}/s)${before}.`,
  ]
  if (state.refused > 0) lines.push(`${format(state.refused)} lines refused: ${options.errorFile}`)
  return lines.join('\n')
}
