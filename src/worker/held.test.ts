import assert from 'node:assert/strict'
import test from 'node:test'
import type { Checkpoint } from '../ledger/flush.ts'
import { HeldPartitions } from './held.ts'

function checkpoint(partition: number, nextOffset: number, epoch: number): Checkpoint {
  return { partition, nextOffset, epoch, owner: 'me', logIdentity: 'log' }
}

/** Holds partition 3 at offset 10 under epoch 2. */
function holding(): { held: HeldPartitions; generation: number } {
  const held = new HeldPartitions()
  const [position] = held.claim([checkpoint(3, 10, 2)])
  return { held, generation: position.generation }
}

test('a record before the checkpoint is not applied again', () => {
  const { held, generation } = holding()
  assert.equal(held.wants(3, generation, 9), false)
  assert.equal(held.wants(3, generation, 10), true)
  assert.equal(held.wants(4, generation, 10), false)
})

test('the same epoch under another owner, as after a restore, is lost', () => {
  const { held, generation } = holding()
  const other = { ...checkpoint(3, 10, 2), owner: 'another' }
  assert.deepEqual(held.reconcile([other]), { confirmed: [], rewound: [], lost: [other] })
  assert.equal(held.wants(3, generation, 10), false)
})

test('an unknown COMMIT that PostgreSQL has is taken as done', () => {
  const { held, generation } = holding()
  const step = { partition: 3, from: 10, to: 15, epoch: 2 }
  const result = held.reconcile([checkpoint(3, 15, 2)], [step])
  assert.deepEqual(result, { confirmed: [[3, 15]], rewound: [], lost: [] })
  assert.equal(held.wants(3, generation, 14), false)
  assert.equal(held.wants(3, generation, 15), true)
})

test('an unknown COMMIT that PostgreSQL does not have is done again', () => {
  const { held, generation } = holding()
  const step = { partition: 3, from: 10, to: 15, epoch: 2 }
  const result = held.reconcile([checkpoint(3, 10, 2)], [step])
  assert.deepEqual(result, { confirmed: [], rewound: [], lost: [] })
  assert.equal(held.wants(3, generation, 10), true)
})

test('a database that lost its last commits is caught up from where it stands', () => {
  const { held, generation } = holding()
  const { rewound } = held.reconcile([checkpoint(3, 7, 2)])
  assert.equal(rewound.length, 1)
  assert.equal(rewound[0].offset, 7)
  assert.equal(held.wants(3, generation, 10), false, 'slices read before the rewind are dropped')
  assert.equal(held.wants(3, rewound[0].generation, 7), true)
  assert.deepEqual(held.step(3, 9), { partition: 3, from: 7, to: 9, epoch: 2 })
})

test('a partition with another epoch belongs to somebody else, even at the expected offset', () => {
  const { held, generation } = holding()
  const { lost } = held.reconcile([checkpoint(3, 10, 3)])
  assert.deepEqual(lost, [checkpoint(3, 10, 3)])
  assert.equal(held.wants(3, generation, 10), false)
  assert.equal(held.step(3, 11), undefined)
})

test('a move of an earlier claim does not advance a later one', () => {
  const { held } = holding()
  held.claim([checkpoint(3, 10, 5)])
  held.advance([{ partition: 3, from: 10, to: 20, epoch: 2 }])
  assert.deepEqual(held.step(3, 12), { partition: 3, from: 10, to: 12, epoch: 5 })
})

test('a partition given up in the middle of a flush is reported when another process has it', () => {
  const { held } = holding()
  const step = { partition: 3, from: 10, to: 15, epoch: 2 }
  held.release([3])
  assert.deepEqual(held.reconcile([checkpoint(3, 12, 3)], [step]).lost, [checkpoint(3, 12, 3)])
  assert.deepEqual(held.reconcile([checkpoint(3, 15, 2)], [step]).lost, [])
})
