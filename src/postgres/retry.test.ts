import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reactionTo } from '../errors.ts'
import { databaseError, sqlState } from './retry.ts'

function serverError(code: string): Error {
  return Object.assign(new Error('what the server said'), { code, severity: 'ERROR' })
}

function socketError(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code })
}

test('what passes by itself asks for a retry', () => {
  const states = ['08006', '25006', '40001', '40P01', '53100', '53300', '55P03', '57014']
  for (const state of [...states, '57P01', '57P02', '57P03', '58030', '25P03']) {
    assert.equal(reactionTo(databaseError(serverError(state), 'here')), 'retry', state)
  }
  const faults = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']
  for (const fault of faults) {
    assert.equal(reactionTo(databaseError(socketError(fault), 'here')), 'retry', fault)
  }
  const ended = new Error('Connection terminated unexpectedly')
  assert.equal(reactionTo(databaseError(ended, 'here')), 'retry')
})

test('what an operator must change asks for an end', () => {
  for (const state of ['28000', '28P01', '3D000', '42501']) {
    assert.equal(reactionTo(databaseError(serverError(state), 'here')), 'exit', state)
  }
  assert.equal(reactionTo(databaseError(socketError('SELF_SIGNED_CERT_IN_CHAIN'), 'here')), 'exit')
})

test('a bug of ours is left as it is', () => {
  for (const error of [serverError('42601'), serverError('23505'), new TypeError('undefined')]) {
    assert.equal(databaseError(error, 'here'), error)
  }
})

test('a message says where, what, and which SQLSTATE; the cause travels along', () => {
  const cause = serverError('53300')
  const error = databaseError(cause, 'PostgreSQL db:5432/ledger') as Error
  const expected = 'PostgreSQL db:5432/ledger: what the server said (SQLSTATE 53300)'
  assert.equal(error.message, expected)
  assert.equal(error.cause, cause)
})

test('a name with several addresses that all refuse names each of them', () => {
  const each = [new Error('connect ECONNREFUSED ::1'), new Error('connect ECONNREFUSED 127.0.0.1')]
  const both = Object.assign(new AggregateError(each), { code: 'ECONNREFUSED' })
  const { message } = databaseError(both, 'here') as Error
  assert.equal(message, 'here: connect ECONNREFUSED ::1; connect ECONNREFUSED 127.0.0.1')
})

test('only PostgreSQL itself has SQLSTATEs: an error code of Node with five letters is none', () => {
  assert.equal(sqlState(serverError('23505')), '23505')
  assert.equal(sqlState(socketError('EPIPE')), '')
})
