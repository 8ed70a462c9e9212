// Whether the log can take appends now, concluded from what was heard of it last.
// In:  deliveries, failures, and answers to the watch's questions.
// Out: one sentence, or nothing when all is well.
// Absent: asking (kafka-watch.ts, kafka-producer.ts).

import type { LedgerError } from '../errors.ts'
import type { Logger } from '../observe/logger.ts'

export class KafkaHealth {
  /** Set for good once the topic is not the one that was opened. */
  broken: LedgerError | undefined
  private readonly logger: Logger
  private failure: { at: number; reason: string } | undefined
  private deliveredAt = -Infinity

  constructor(logger: Logger) {
    this.logger = logger
  }

  /** A record was acknowledged. */
  delivered(): void {
    this.deliveredAt = performance.now()
    if (this.failure !== undefined) this.recovered()
  }

  failed(reason: string): void {
    if (this.failure === undefined) this.logger.warn(`kafka: ${reason}`)
    this.failure = { at: performance.now(), reason }
  }

  /**
   * A question asked at `since` was not answered; that says nothing if records were acknowledged
   * meanwhile.
   */
  unanswered(since: number, reason: string): void {
    if (this.deliveredAt < since) this.failed(reason)
  }

  /**
   * The topic was found well by a question asked at `since`; failures after that are news to the
   * answer.
   */
  found(since: number): void {
    if (this.failure !== undefined && this.failure.at < since) this.recovered()
  }

  unavailable(): string | undefined {
    return this.broken?.message ?? this.failure?.reason
  }

  private recovered(): void {
    this.failure = undefined
    this.logger.info('kafka: the log takes appends again')
  }
}
