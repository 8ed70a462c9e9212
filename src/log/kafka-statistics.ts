// What the client says it is doing with each partition.
// In:  its statistics, a JSON document every few seconds.
// Out: when they were taken, and the fetch state of each partition; `none` is one it has given up
//      fetching.
// Absent: every other number in there.

interface Statistics {
  /** Seconds since 1970 UTC. */
  time: number
  topics?: Record<string, { partitions?: Record<string, { fetch_state?: string }> }>
}

export interface FetchStates {
  /** Milliseconds since 1970 UTC, rounded down to a second. */
  takenAt: number
  states: Map<number, string>
}

export function fetchStates(message: string, topic: string): FetchStates {
  const { time, topics } = JSON.parse(message) as Statistics
  const states = new Map<number, string>()
  for (const [partition, about] of Object.entries(topics?.[topic]?.partitions ?? {})) {
    // Partition -1 is where the client keeps what has no partition yet.
    if (Number(partition) >= 0) states.set(Number(partition), about.fetch_state ?? '')
  }
  return { takenAt: time * 1000, states }
}
