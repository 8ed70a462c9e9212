// One page out of several databases.
// In:  a SELECT whose rows have a key that sorts as the page does.
// Out: the first rows of all of them, in the order of that key.
// Absent: what is selected.

import type { ReadDatabases } from './read-databases.ts'

export interface Keyed {
  /** Text that sorts, by its code units, as the SELECT does. */
  key: string
}

/**
 * Asks every database for `rows` rows and returns as many of the lowest keys, or of the highest. A
 * row is in one database only.
 */
export async function mergedRows<Row extends Keyed>(
  databases: ReadDatabases,
  select: string,
  rows: number,
  isAscending: boolean,
): Promise<Row[]> {
  const all = await databases.all()
  const answers = await Promise.all(all.map((database) => database.read<Row>(select)))
  const sign = isAscending ? 1 : -1
  return answers
    .flat()
    .sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0))
    .slice(0, rows)
}
