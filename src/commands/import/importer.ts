// The way of the lines: groups become batches, several under way, and are done with in order.
// In:  a source, the ledger's client, an earlier state.
// Out: transactions in the ledger; state and error file that follow them.
// Absent: arguments, the terminal (import.ts).

/*
 * state ≤ done ≤ sent ≤ read. Only the oldest group under way can be done with: its faults are
 * told, its bytes go through the hash, and the state moves over it.
 */

import type { Ledger, Transaction } from '#client'
import { createHash } from 'node:crypto'
import { LedgerError } from '../../errors.ts'
import { lineId } from './ids.ts'
import { groupsOf, type Line, type LineGroup } from './lines.ts'
import type { ImportOptions } from './options.ts'
import {
  columnsOf,
  csvRow,
  isFault,
  ndjsonRow,
  tooLong,
  type Columns,
  type Fault,
  type Row,
} from './rows.ts'
import { untaken, type Source } from './source.ts'
import { writeState, type ErrorFile, type ImportState } from './state.ts'

const saveIntervalMs = 250

interface Told {
  line: Line
  fault: Fault
}

interface Outcome {
  taken: number
  told: Told[]
}

interface UnderWay {
  group: LineGroup
  settled: Promise<void>
  outcome?: Outcome
  failure?: unknown
}

export interface ImporterOptions {
  options: ImportOptions
  source: Source
  client: Ledger
  earlier: ImportState | undefined
  errorFile: ErrorFile
  /** Told after each group that is done. */
  onProgress: (state: ImportState) => void
}

export class Importer {
  readonly #parts: ImporterOptions
  readonly #hash = createHash('sha256')
  readonly #underWay: UnderWay[] = []
  readonly #state: ImportState
  #columns: Columns | undefined
  #savedAt = 0

  constructor(parts: ImporterOptions) {
    const { earlier, options } = parts
    this.#parts = parts
    this.#columns = earlier?.columns ?? undefined
    this.#state = earlier ? { ...earlier } : emptyState()
    if (options.idNamespace === undefined) return
    const began = this.#state.idNamespace
    if (began !== null && began !== options.idNamespace) {
      throw invalid('id-namespace', `${JSON.stringify(began)}, with which it began`)
    }
    this.#state.idNamespace = options.idNamespace
  }

  get state(): Readonly<ImportState> {
    return this.#state
  }

  /**
   * Resolves when every line is taken or told; rejects with the first failure, or when a signal is
   * aborted. The state is saved in any case.
   *
   * @param reading aborted when no more is to be read; what is under way goes on
   * @param sending aborted when that is not to go on either
   */
  async run(reading: AbortSignal, sending: AbortController): Promise<void> {
    const { source, earlier, options } = this.#parts
    const chunks = untaken(source.open(reading), earlier, this.#hash)
    const start = { offset: this.#state.offset, line: this.#state.nextLine }
    try {
      for await (const group of groupsOf(chunks, options.batchItems, start)) {
        await this.#send(group, sending.signal)
        while (this.#underWay.length >= options.inFlight) await this.#retire()
      }
    } catch (error) {
      if (!reading.aborted) sending.abort(error)
      await this.#retireAll().catch(() => undefined)
      this.#save()
      throw error
    }
    try {
      await this.#retireAll()
    } finally {
      this.#save()
    }
  }

  async #retireAll(): Promise<void> {
    while (this.#underWay.length > 0) await this.#retire()
  }

  async #send(group: LineGroup, signal: AbortSignal): Promise<void> {
    const told: Told[] = []
    const rows: Row[] = []
    for (const line of group.lines) {
      if (line.text.trim() === '') continue
      const outcome = this.#read(line)
      if (outcome === undefined) continue
      if (isFault(outcome)) told.push({ line, fault: outcome })
      else rows.push(outcome)
    }
    const transactions = await this.#withIds(rows)
    const one: UnderWay = { group, settled: Promise.resolve() }
    one.settled = this.#post(rows, transactions, told, signal).then(
      (outcome) => {
        one.outcome = outcome
      },
      (failure: unknown) => {
        one.failure = failure
      },
    )
    this.#underWay.push(one)
  }

  /** Undefined for the header. */
  #read(line: Line): Row | Fault | undefined {
    const { format, ignoresUnknown } = this.#parts.options
    if (line.isTooLong) return tooLong()
    if (format === 'ndjson') return ndjsonRow(line, ignoresUnknown)
    if (this.#columns !== undefined) return csvRow(line, this.#columns)
    const columns = columnsOf(line.text, ignoresUnknown)
    if ('expected' in columns) {
      const message = `Line ${line.number}: expected ${columns.expected}, found ${columns.found}.`
      throw new LedgerError('CONFIG_INVALID', message)
    }
    this.#columns = columns
    return undefined
  }

  async #withIds(rows: readonly Row[]): Promise<Transaction[]> {
    if (rows.some(({ id }) => id === undefined)) {
      this.#state.idNamespace ??= (await this.#parts.source.sha256()) ?? null
      if (this.#state.idNamespace === null) {
        throw invalid('id-namespace', 'a text, since lines of standard input have no id')
      }
    }
    const namespace = this.#state.idNamespace ?? ''
    return rows.map(({ line, id, account_id, amount }) => ({
      id: id ?? lineId(namespace, line.number),
      account_id,
      amount,
    }))
  }

  async #post(
    rows: readonly Row[],
    transactions: readonly Transaction[],
    told: Told[],
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (rows.length === 0) return { taken: 0, told }
    const { refused } = await this.#parts.client.postValid(transactions, { signal })
    for (const { transaction, error } of refused) {
      const { line } = rows[transactions.indexOf(transaction)]
      const {
        field,
        expected = 'what the ledger takes',
        found = error.message,
      } = error.problem ?? {}
      told.push({ line, fault: { ...(field && { field }), expected, found } })
    }
    told.sort((a, b) => a.line.number - b.line.number)
    return { taken: rows.length - refused.length, told }
  }

  /** Is done with the oldest group under way. */
  async #retire(): Promise<void> {
    const [oldest] = this.#underWay
    await oldest.settled
    const { group, outcome, failure } = oldest
    // What was thrown is an error of the client, or the reason of an abort.
    if (outcome === undefined) throw failure as Error
    this.#underWay.shift()
    const { errorFile, onProgress } = this.#parts
    const state = this.#state
    const before = errorFile.bytes
    for (const { line, fault } of outcome.told) errorFile.add(line, fault)
    state.taken += outcome.taken
    state.refused += outcome.told.length
    // A line without an end may go on the next time, and is then sent and told again.
    if (group.isOpen) {
      this.#open = { taken: outcome.taken, refused: outcome.told.length, bytes: before }
      return
    }
    for (const bytes of group.bytes) this.#hash.update(bytes)
    state.offset = group.end
    state.nextLine = group.nextLine
    state.errorBytes = errorFile.bytes
    if (performance.now() - this.#savedAt > saveIntervalMs) this.#save()
    onProgress(state)
  }

  #open: { taken: number; refused: number; bytes: number } | undefined

  #save(): void {
    const { options, errorFile } = this.#parts
    errorFile.sync()
    if (options.stateFile === undefined) return
    const { taken = 0, refused = 0 } = this.#open ?? {}
    writeState(options.stateFile, {
      ...this.#state,
      sha256: this.#hash.copy().digest('hex'),
      columns: this.#columns ?? null,
      taken: this.#state.taken - taken,
      refused: this.#state.refused - refused,
    })
    this.#savedAt = performance.now()
  }
}

function emptyState(): ImportState {
  return {
    version: 1,
    offset: 0,
    sha256: '',
    nextLine: 1,
    columns: null,
    idNamespace: null,
    taken: 0,
    refused: 0,
    errorBytes: 0,
  }
}

function invalid(flag: string, expected: string): LedgerError {
  return new LedgerError('CONFIG_INVALID', `--${flag}: expected ${expected}.`)
}
