// What the client says it is doing with each partition.
// In:  its statistics, a JSON document every few seconds.
// Out: the fetch state of each partition; `none` is a partition it has given up fetching.
// Absent: every other number in there.

interface Statistics {
  topics?: Record<string, { partitions?: Record<string, { fetch_state?: string }> }>
}

export function fetchStates(message: string, topic: string): Map<number, string> {
  const { topics } = JSON.parse(message) as Statistics
  const states = new Map<number, string>()
  for (const [partition, about] of Object.entries(topics?.[topic]?.partitions ?? {})) {
    // Partition -1 is where the client keeps what has no partition yet.
    if (Number(partition) >= 0) states.set(Number(partition), about.fetch_state ?? '')
  }
  return states
}
