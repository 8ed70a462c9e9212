// One session of a simulated PostgreSQL: messages in, one after the other, answers out.
// In:  texts of one or more statements, with values or data.
// Out: results, or an error; changes handed to the server when they commit.
// Absent: what a statement does (statements.ts), the way to the client (client.ts).

import { postgresError, type PostgresError } from './errors.ts'
import type { Database } from './database.ts'
import { parse, type Result, type Statement } from './statements.ts'
import { Blocked, type Transaction } from './transaction.ts'

export interface Message {
  text: string
  values: readonly unknown[]
  /** Looked at when the message has arrived, as late as a socket might send it. */
  data: readonly Uint8Array[]
  answer: (outcome: Result[] | PostgresError) => void
}

/** Who is at the other end, for traces and for what is checked at each commit. */
export interface Peer {
  name: string
  owner: string
  /** Of the log that it reads. */
  logIdentity: string
}

const deadlockTimeoutMs = 1000

export class Session {
  readonly name: string
  readonly peer: Peer
  transaction: Transaction | undefined
  /** Whose end this session waits for. */
  waitsFor: Transaction | undefined
  isEnded = false
  /** Tells the client that the server ended it. */
  onTerminated: (error: PostgresError) => void = () => undefined
  private readonly database: Database
  private readonly queue: Message[] = []
  private isBusy = false
  private resume: () => void = () => undefined

  constructor(database: Database, name: string, peer: Peer) {
    this.database = database
    this.name = name
    this.peer = peer
  }

  receive(message: Message): void {
    if (this.isEnded) return
    this.queue.push(message)
    if (!this.isBusy) this.next()
  }

  /** The connection is gone, or the server is: what was not committed is not there. */
  end(): void {
    if (this.isEnded) return
    this.isEnded = true
    this.waitsFor = undefined
    this.database.leave(this)
    this.finish()
  }

  terminate(): void {
    if (this.isEnded) return
    this.end()
    this.onTerminated(postgresError('57P01', 'terminating connection', 'FATAL'))
  }

  /** What it waited for is over. */
  wake(): void {
    if (this.waitsFor === undefined) return
    this.waitsFor = undefined
    this.resume()
  }

  private next(): void {
    const message = this.queue.shift()
    this.isBusy = message !== undefined
    if (message === undefined) return
    this.run(message, parsed(message.text), [])
  }

  /** Runs the statements that have no result yet. */
  private run(message: Message, statements: readonly Statement[], results: Result[]): void {
    const goOn = (result: Result): void => {
      results.push(result)
      this.run(message, statements, results)
    }
    if (this.isEnded) return
    const statement = statements[results.length]
    if (statement === undefined) {
      if (this.transaction?.isExplicit === false) this.commit(() => this.reply(message, results))
      else this.reply(message, results)
      return
    }
    const before = this.transaction?.changes.length ?? 0
    try {
      if (statement.text === 'COMMIT') this.commit(goOn)
      else goOn(this.runOne(statement, message))
    } catch (error) {
      if (this.transaction) this.transaction.changes.length = before
      if (error instanceof Blocked) {
        this.wait(error.holder, message, () => this.run(message, statements, results))
      } else this.fail(error as PostgresError, message)
    }
  }

  private runOne(statement: Statement, message: Message): Result {
    const { text } = statement
    if (text === 'ROLLBACK') {
      this.finish()
      return { command: 'ROLLBACK', rowCount: 0, rows: [] }
    }
    const transaction = (this.transaction ??= this.database.begin(this))
    if (text.startsWith('BEGIN')) {
      transaction.isExplicit = true
      return { command: 'BEGIN', rowCount: 0, rows: [] }
    }
    if (transaction.isFailed && !text.startsWith('ROLLBACK TO ')) {
      throw postgresError('25P02', 'current transaction is aborted')
    }
    return statement.run({ transaction, ...message, ...this.database.context })
  }

  private commit(then: (result: Result) => void): void {
    const { transaction } = this
    const isFailed = transaction?.isFailed === true
    if (transaction === undefined || isFailed) {
      this.finish()
      then({ command: isFailed ? 'ROLLBACK' : 'COMMIT', rowCount: 0, rows: [] })
      return
    }
    this.database.commit(this, transaction, () => {
      this.finish()
      then({ command: 'COMMIT', rowCount: 0, rows: [] })
    })
  }

  private fail(error: PostgresError, message: Message): void {
    if (this.transaction?.isExplicit === true) this.transaction.isFailed = true
    else this.finish()
    this.database.trace(() => `${this.name}: ${error.message}`)
    message.answer(error)
    this.next()
  }

  private reply(message: Message, results: Result[]): void {
    message.answer(results)
    this.next()
  }

  /** Drops what is left of the transaction; those who wait for it go on. */
  private finish(): void {
    const { transaction } = this
    this.transaction = undefined
    if (transaction) this.database.over(transaction)
  }

  private wait(holder: Transaction, message: Message, resume: () => void): void {
    const giveUp = (code: string, text: string): void => {
      if (this.waitsFor !== holder || this.resume !== resume) return
      this.waitsFor = undefined
      this.fail(postgresError(code, text), message)
    }
    this.database.trace(() => `${this.name} waits for ${holder.session}`)
    this.waitsFor = holder
    this.resume = resume
    const { lockTimeoutMs = Infinity } = this.transaction ?? {}
    if (lockTimeoutMs < Infinity) {
      this.database.after(lockTimeoutMs, () => giveUp('55P03', 'lock timeout'))
    }
    this.database.after(deadlockTimeoutMs, () => {
      if (this.database.isDeadlocked(this)) giveUp('40P01', 'deadlock detected')
    })
  }
}

/** Most texts come again and again. */
const parsedTexts = new Map<string, readonly Statement[]>()
const parsedTextsMax = 2000

function parsed(text: string): readonly Statement[] {
  const known = parsedTexts.get(text)
  if (known !== undefined) return known
  const statements = text.split(';').map((one) => one.replace(/\s+/g, ' ').trim())
  const all = statements.filter((one) => one !== '').map((one) => parse(one))
  if (parsedTexts.size < parsedTextsMax) parsedTexts.set(text, all)
  return all
}
