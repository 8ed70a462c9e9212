// Every target there is.
// In:  nothing.
// Out: the list.
// Absent: running them (run.ts).

import { parseJson } from '../../batch/parse-json.ts'
import { walkRecord } from '../../record/walk.ts'
import { cursor } from './cursors.ts'
import { jsonTarget } from './json.ts'
import { parameters } from './parameters.ts'
import { protobuf, recordTarget } from './protobuf.ts'
import { receipt } from './receipts.ts'
import type { Target } from './target.ts'

export const targets: readonly Target[] = [
  jsonTarget(parseJson),
  protobuf,
  recordTarget(walkRecord),
  receipt,
  cursor,
  parameters,
]
