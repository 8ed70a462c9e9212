// Which worker of this process works on which partitions.
// In:  the partitions assigned to the process, the number of workers, buckets and databases.
// Out: a list of partitions for each worker.
// Absent: who owns what among processes (log/ membership and the checkpoints decide).

import { databaseOf } from '../ledger/buckets.ts'
import { bucketOf } from '../record/partition.ts'

export interface Layout {
  workers: number
  buckets: number
  databases: number
}

/**
 * The database a worker writes to: every worker has one, every database has at least one worker.
 */
export function databaseOfWorker(worker: number, layout: Layout): number {
  return Math.floor((worker * layout.databases) / layout.workers)
}

/**
 * Gives each worker an equal share of its database's partitions, whole buckets together where that
 * comes out even, so that two workers rarely write into the same bucket and each flush has more
 * rows a bucket.
 */
export function distribute(partitions: readonly number[], layout: Layout): number[][] {
  const shares: number[][] = Array.from({ length: layout.workers }, () => [])
  for (let database = 0; database < layout.databases; database++) {
    const workers = shares.filter((_, worker) => databaseOfWorker(worker, layout) === database)
    const own = partitions
      .map((partition) => ({ partition, bucket: bucketOf(partition, layout.buckets) }))
      .filter(({ bucket }) => databaseOf(bucket, layout) === database)
      .sort((a, b) => a.bucket - b.bucket || a.partition - b.partition)
    own.forEach(({ partition }, rank) => {
      workers[Math.floor((rank * workers.length) / own.length)].push(partition)
    })
  }
  return shares
}
