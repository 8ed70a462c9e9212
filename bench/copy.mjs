// What sorting rows by key before COPY is worth, by how many there are for a bucket.
// Run: npm run compile && node bench/copy.mjs [--rounds 3] [--seconds 5]
// `npm run bench -- limit` takes the best of the sorted ones, for longer, as the limit of all else.

import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CopyLimit } from './support/copy-limit.mjs'
import { startServer } from './support/deployment.mjs'
import { median } from './support/median.mjs'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
  },
})
const connections = 2
const figures = [5_000, 20_000, 100_000].flatMap((rowsPerBucket) =>
  [true, false].map((sorted) => ({ rowsPerBucket, sorted, all: [] })),
)

const directory = mkdtempSync(join(tmpdir(), 'ledger-bench-copy-'))
const server = await startServer(directory)
try {
  const limit = await CopyLimit.open(server.url, connections)
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { rowsPerBucket, sorted, all } of figures) {
      const seconds = Number(values.seconds)
      const asked = { connections, rowsPerBucket, sorted, warmUpSeconds: seconds / 4, seconds }
      all.push((await limit.measure(asked)).rowsPerSecond)
    }
  }
  await limit.close()
  console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.version}`)
  console.table(
    figures.map(({ rowsPerBucket, sorted, all }) => ({
      'rows a bucket': rowsPerBucket,
      order: sorted ? 'by key' : 'none',
      'rows/s, median': Math.round(median(all)),
      lowest: Math.round(Math.min(...all)),
      highest: Math.round(Math.max(...all)),
    })),
  )
} finally {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
}
