// What a parser of parameters says, where a refusal is an answer and any other error is none.
// In:  something that parses.
// Out: what it returns; undefined where it refuses.
// Absent: what the refusal says.

import { Refusal } from '../../query/request.ts'

export function unlessRefused<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Refusal) return undefined
    throw error
  }
}
