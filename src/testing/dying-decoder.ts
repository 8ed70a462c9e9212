// A decode thread that dies of a body which begins with an exclamation mark, for the tests of those
// that live on.
// In:  the tasks of a decode thread.
// Out: its results; the end of the thread.
// Absent: anything the program itself uses.

import type { DecodeResult, DecodeTask } from '../ingress/decode-thread.ts'
import decode from '../ingress/decode-thread.ts'

export default function decodeOrDie(task: DecodeTask): DecodeResult {
  if (new Uint8Array(task.memory)[0] === 0x21) process.exit(3)
  return decode(task)
}
