// What this machine could do at most: raw COPY into the ledger's tables, flushing a file, and
// carrying requests over loopback, each with nothing else running.
// In:  how long each is measured.
// Out: rates; the best COPY is what every other figure is given as a ratio of.
// Absent: the program.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanup } from '../support/cleanup.mjs'
import { CopyLimit } from '../support/copy-limit.mjs'
import { startServer } from '../support/deployment.mjs'
import { measureDisk } from '../support/disk.mjs'
import { measureFlushing } from '../support/fsync-limit.mjs'
import { count, perSecond } from '../support/format.mjs'
import { measureTransport } from '../support/transport-limit.mjs'

const windows = [20_000, 100_000, 250_000]
const connectionCounts = [1, 2]

export const limit = {
  name: 'limit',
  title: 'what the machine could do: COPY alone, flushing alone, transport alone',
  isDefault: true,
  kind: 'limit',
  seconds: ({ warmUpSeconds, seconds }) =>
    windows.length * connectionCounts.length * (warmUpSeconds + seconds + 4) + 25,
  run,
}

async function run(bench) {
  const { options, live } = bench
  const directory = mkdtempSync(join(options.directory ?? tmpdir(), 'ledger-bench-limit-'))
  const remove = cleanup(() => rmSync(directory, { recursive: true, force: true }))
  try {
    live.phase('flush')
    const flushing = measureFlushing(directory)
    live.phase('transport')
    const transport = await measureTransport(bench)
    const copy = await measureCopies(bench, directory)
    return { flushing, transport, copy, best: Math.max(...copy.map((each) => each.rowsPerSecond)) }
  } finally {
    await remove()
  }
}

/** As many rows into the same tables, from empty, as a load of the same length would bring. */
async function measureCopies({ options, live }, directory) {
  const server = await startServer(join(directory, 'postgres'))
  const stop = cleanup(() => server.stop())
  const figures = []
  try {
    const copyLimit = await CopyLimit.open(server.url, Math.max(...connectionCounts))
    for (const rowsPerBucket of windows) {
      for (const connections of connectionCounts) {
        live.phase('COPY', options.warmUpSeconds + options.seconds)
        const { warmUpSeconds, seconds } = options
        const onFlush = ({ rows }) => live.show(`${count(rows)} rows`)
        const asked = { connections, rowsPerBucket, warmUpSeconds, seconds, onFlush }
        const measured = await copyLimit.measure(asked)
        const disk = await measureDisk([server.url])
        figures.push({ connections, rowsPerBucket, ...measured, tableBytes: disk.tables })
        live.note(
          `COPY, ${count(rowsPerBucket)} rows a bucket, ${connections} connections: ` +
            `${perSecond(measured.rowsPerSecond)} over ${count(measured.rows)} rows`,
        )
      }
    }
    await copyLimit.close()
  } finally {
    await stop()
  }
  return figures
}
