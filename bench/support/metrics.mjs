// The program's counters, as it shows them to Prometheus.
// In:  the addresses of one or several processes of one ledger.
// Out: sums over them.
// Absent: labels; each metric is summed over its own.

/** Values by name, summed over labels. */
export function parseMetrics(text) {
  const values = new Map()
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+)(?:\{.*\})? (\S+)$/.exec(line)
    if (match) values.set(match[1], (values.get(match[1]) ?? 0) + Number(match[2]))
  }
  return values
}

async function scrapeOne(url) {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5_000) }).catch(
    (error) => {
      const found = error.cause?.code ?? error.message
      throw new Error(`${url}/metrics: expected an answer, found ${found}`, { cause: error })
    },
  )
  if (!response.ok) throw new Error(`${url}/metrics: expected status 200, found ${response.status}`)
  return parseMetrics(await response.text())
}

/**
 * Transactions accepted, and what has become of them. `settled` are those that need nothing more:
 * persisted, found to be there already, or recorded as conflicts. `lagRecords` is undefined where
 * none of the processes works on a partition: then nothing is known of what is persisted.
 */
export async function scrape(urls) {
  const each = await Promise.all(urls.map(scrapeOne))
  const sum = (name) => each.reduce((total, values) => total + (values.get(name) ?? 0), 0)
  const persisted = sum('ledger_persisted_transactions_total')
  const duplicates = sum('ledger_duplicate_transactions_total')
  const conflicts = sum('ledger_conflicts_total')
  const hasWorkers = each.some((values) => values.has('ledger_lag_records'))
  return {
    accepted: sum('ledger_accepted_transactions_total'),
    records: sum('ledger_appended_records_total'),
    recordBytes: sum('ledger_appended_bytes_total'),
    persisted,
    settled: persisted + duplicates + conflicts,
    flushes: sum('ledger_flushes_total'),
    lagRecords: hasWorkers ? sum('ledger_lag_records') : undefined,
  }
}
