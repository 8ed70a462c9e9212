// Measures functions in turn, so that what else the machine does falls on all of them alike.

const rounds = 151

/** Prints the median and the best of many rounds, in nanoseconds an item. */
export function compare(title, items, functions) {
  const times = Object.fromEntries(Object.keys(functions).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(functions)) {
      const start = process.hrtime.bigint()
      run()
      times[name].push(Number(process.hrtime.bigint() - start) / items)
    }
  }
  const rows = Object.entries(times).map(([name, each]) => {
    // The first rounds are the compiler's.
    const sorted = each.slice(rounds >> 3).sort((a, b) => a - b)
    const median = sorted[sorted.length >> 1]
    return [
      name,
      { 'median ns': Number(median.toFixed(1)), 'best ns': Number(sorted[0].toFixed(1)) },
    ]
  })
  console.log(title)
  console.table(Object.fromEntries(rows))
}
