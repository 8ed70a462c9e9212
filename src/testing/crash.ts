// Named instants at which a test may end the process as kill -9 would.
// In:  `--crash-at NAME[:N]`: die the Nth time NAME is reached (1 unless given).
// Out: nothing, or the end of the process.
// Absent: any effect when no crash point is armed.

/**
 * Where the process can be made to die. Each name says what has just happened, or is just about to.
 */
export const crashPoints = [
  /** Every record of a request is durable in the log; its 202 has not been written. */
  'after-append',
  /** A flush has moved its checkpoints inside the transaction; no row has been copied. */
  'before-copy',
  /** All rows of a flush are copied; the transaction is still open. */
  'after-copy',
  /** COMMIT is about to be sent. */
  'before-commit',
  /** COMMIT was answered; nobody in the process knows yet. */
  'after-commit',
  /** A bucket is on the merge path: its rows are in the temporary table, not yet in the ledger. */
  'during-merge',
  /** Partitions are claimed under a new epoch; nothing has been read yet. */
  'after-claim',
  /** A leaf without a key is attached; the worker has not noted that it is its own. */
  'after-leaf-opened',
  /** A leaf is about to get its key. */
  'before-leaf-sealed',
  /** A leaf notes its late entries for a roll-up; the roll-up has not been made. */
  'after-rollup-armed',
  /** A roll-up is written; the transaction is still open. */
  'before-rollup-commit',
  /** The embedded log has been told what it may trim, and has not trimmed it. */
  'before-trim',
  /** A file of an archive is on disk under its name; it has not been read back. */
  'after-archive-file',
  /** The manifest of an archived day is on disk; its entries are still in the tables. */
  'after-archive-manifest',
  /** The entries of an archived day are dropped; the transaction is still open. */
  'before-archive-commit',
  /** The entries of an archived day are gone; nobody has been told yet. */
  'after-archive-commit',
  /** The entries of a day are in tables again that are not part of the ledger yet. */
  'before-restore-attached',
  /** A day is part of the ledger again; the transaction is still open. */
  'before-restore-commit',
] as const

export type CrashPoint = (typeof crashPoints)[number]

let armed: CrashPoint | undefined
let remaining = 0

/**
 * Arms one crash point in this thread. `spec` is `NAME` or `NAME:N`; the caller has validated it.
 */
export function armCrash(spec: string): void {
  const [name, count] = spec.split(':')
  armed = crashPoints.find((point) => point === name)
  remaining = count === undefined ? 1 : Number(count)
}

/** Ends the process with SIGKILL if this point is armed and its count is reached. */
export function crashPoint(point: CrashPoint): void {
  if (point !== armed) return
  remaining -= 1
  if (remaining > 0) return
  process.kill(process.pid, 'SIGKILL')
}
