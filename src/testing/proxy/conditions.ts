// What a proxy does to the bytes that pass it.
// In:  nothing.
// Out: the directions, and the conditions on the way.
// Absent: sockets.

/** `requests` go from whoever connected to whoever was connected to, `replies` come back. */
export type Direction = 'requests' | 'replies'

/** `reset`: both ends get an RST, unread bytes are lost. `finish`: an orderly FIN after them. */
export type Cut = 'reset' | 'finish'

export interface Conditions {
  /** How much later every byte arrives. */
  delayMs: number
  /** For each connection and direction. */
  bytesPerSecond: number
  /** Directions in which nothing arrives any more; what is sent waits, as TCP has it. */
  swallows: readonly Direction[]
  /** New connections are reset at once. */
  refuses: boolean
}

export const fair: Conditions = {
  delayMs: 0,
  bytesPerSecond: Infinity,
  swallows: [],
  refuses: false,
}

/** A COMMIT whose reply was kept from the client. */
export interface DroppedCommit {
  /** As in pg_stat_activity. */
  applicationName: string
  /** What PostgreSQL answered: `COMMIT`, `ROLLBACK`, or nothing for an error or its own end. */
  tag: string
}
