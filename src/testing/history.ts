// What the clients did: every transaction they sent, in which request, when, and what they were
// told.
// In:  batches as they are made, attempts as they are made and answered.
// Out: typed arrays of a few million contents, and the whole story of any one of them.
// Absent: the program's code, HTTP, SQL.

/**
 * What a client was told.
 *
 * - `pending`: nothing yet; the request is under way.
 * - `acknowledged`: 2xx. Every item of the request is durable.
 * - `refused`: 4xx. Nothing of the request was taken.
 * - `unanswered`: an error, a timeout, a cut connection or a 5xx. Each item may or may not have
 *   been taken.
 */
export type Answer = 'pending' | 'acknowledged' | 'refused' | 'unanswered'

/** One request. Times are in milliseconds since 1970 UTC. */
export interface Attempt {
  client: string
  sentAt: number
  answeredAt: number
  answer: Answer
  /** Status, or what cut the connection. */
  detail: string
}

/** Contents `first` up to, not including, `first + count`, always sent together. */
export interface SentBatch {
  first: number
  count: number
  attempts: Attempt[]
}

/** What may have become of a batch, all attempts taken together. */
export type Fate = 'acknowledged' | 'possible' | 'never'

const initialContents = 1 << 14

/**
 * A content is one (account_id, id, amount) in one batch. Sending a batch again adds an attempt,
 * not contents. The same key in another batch is another content, whether or not the amount is the
 * same.
 */
export class History {
  count = 0
  ids = new Uint8Array(initialContents * 16)
  accounts = new Uint8Array(initialContents * 16)
  amounts = new BigInt64Array(initialContents)
  readonly batches: SentBatch[] = []
  /**
   * What no server should ever answer, such as an `accepted` that is not the number of items sent.
   */
  readonly faults: string[] = []

  /** Begins a batch; what is added belongs to it until the next one begins. */
  begin(): SentBatch {
    const batch: SentBatch = { first: this.count, count: 0, attempts: [] }
    this.batches.push(batch)
    return batch
  }

  /** Adds a content to the batch begun last, and returns its index. */
  add(id: Uint8Array, account: Uint8Array, amount: bigint): number {
    const batch = this.batches.at(-1)
    if (batch === undefined) throw new Error('Expected a batch to have begun, found none.')
    if (this.count === this.amounts.length) this.#grow()
    const index = this.count
    this.ids.set(id, index * 16)
    this.accounts.set(account, index * 16)
    this.amounts[index] = amount
    this.count += 1
    batch.count += 1
    return index
  }

  idOf(index: number): Uint8Array {
    return this.ids.subarray(index * 16, index * 16 + 16)
  }

  accountOf(index: number): Uint8Array {
    return this.accounts.subarray(index * 16, index * 16 + 16)
  }

  amountOf(index: number): bigint {
    if (index >= this.count) throw new RangeError(`No content ${index}.`)
    return this.amounts[index]
  }

  batchOf(index: number): SentBatch {
    let low = 0
    let high = this.batches.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.batches[middle].first <= index) low = middle
      else high = middle - 1
    }
    const batch = this.batches.at(low)
    if (batch === undefined || index >= batch.first + batch.count) {
      throw new RangeError(`No batch has content ${index}.`)
    }
    return batch
  }

  /** How many attempts, over all batches, were answered in each way. */
  answers(): Record<Answer, number> {
    const counts = { pending: 0, acknowledged: 0, refused: 0, unanswered: 0 }
    for (const batch of this.batches) {
      for (const attempt of batch.attempts) counts[attempt.answer] += 1
    }
    return counts
  }

  #grow(): void {
    const ids = new Uint8Array(this.ids.length * 2)
    ids.set(this.ids)
    this.ids = ids
    const accounts = new Uint8Array(this.accounts.length * 2)
    accounts.set(this.accounts)
    this.accounts = accounts
    const amounts = new BigInt64Array(this.amounts.length * 2)
    amounts.set(this.amounts)
    this.amounts = amounts
  }
}

/** Notes that a request with this batch is on its way. */
export function beginAttempt(batch: SentBatch, client: string, now = Date.now()): Attempt {
  const attempt: Attempt = {
    client,
    sentAt: now,
    answeredAt: Infinity,
    answer: 'pending',
    detail: 'no answer yet',
  }
  batch.attempts.push(attempt)
  return attempt
}

export function endAttempt(
  attempt: Attempt,
  answer: Answer,
  detail: string,
  now = Date.now(),
): void {
  attempt.answer = answer
  attempt.detail = detail
  attempt.answeredAt = now
}

export function fateOf(batch: SentBatch): Fate {
  let fate: Fate = 'never'
  for (const { answer } of batch.attempts) {
    if (answer === 'acknowledged') return 'acknowledged'
    if (answer !== 'refused') fate = 'possible'
  }
  return fate
}

/** When the first request that may have brought the batch in was sent. */
export function firstSentAt(batch: SentBatch): number {
  let first = Infinity
  for (const { answer, sentAt } of batch.attempts) {
    if (answer !== 'refused' && sentAt < first) first = sentAt
  }
  return first
}

/** When a client first knew that the batch is durable. */
export function firstAcknowledgedAt(batch: SentBatch): number {
  let first = Infinity
  for (const { answer, answeredAt } of batch.attempts) {
    if (answer === 'acknowledged' && answeredAt < first) first = answeredAt
  }
  return first
}

/** The batch in words: every attempt, when, by whom, and the answer. */
export function describeBatch(batch: SentBatch): string {
  if (batch.attempts.length === 0) return 'never sent'
  return batch.attempts
    .map(({ client, sentAt, answeredAt, answer, detail }) => {
      const took = answer === 'pending' ? '' : ` after ${Math.round(answeredAt - sentAt)} ms`
      return `${client} at ${new Date(sentAt).toISOString()}: ${answer}${took} (${detail})`
    })
    .join('; ')
}
