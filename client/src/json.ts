// JSON in and out, with whole numbers as bigint on this side and as strings of digits on the wire.
// In:  transactions; answers, with the shape the contract gives them.
// Out: request bodies; values.
// Absent: HTTP.

import { ContractError, InvalidTransactionError } from './errors.ts'
import { schemaShapes, type Shape, type Transaction } from './gen/contract.ts'

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const int64Min = -(2n ** 63n)
const int64Max = 2n ** 63n - 1n

/** @throws InvalidTransactionError for what no ledger would take */
export function assertTransaction({ id, account_id, amount }: Transaction): void {
  if (!uuidPattern.test(id)) throw new InvalidTransactionError('id', 'a UUID', shown(id))
  if (!uuidPattern.test(account_id)) {
    throw new InvalidTransactionError('account_id', 'a UUID', shown(account_id))
  }
  if (typeof amount !== 'bigint') {
    throw new InvalidTransactionError('amount', 'a bigint', `${typeof amount} ${shown(amount)}`)
  }
  if (amount < int64Min || amount > int64Max) {
    throw new InvalidTransactionError('amount', 'an int64', shown(amount))
  }
}

function shown(value: unknown): string {
  const text = String(value)
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}

/** The body of a batch; its transactions have been asserted, so nothing in them needs escaping. */
export function encodeBatch(transactions: readonly Transaction[]): string {
  const items = transactions.map(
    ({ id, account_id, amount }) =>
      `{"id":"${id}","account_id":"${account_id}","amount":"${amount}"}`,
  )
  return `[${items.join(',')}]`
}

/** A value for JSON that may hold bigint anywhere. */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'bigint' ? member.toString() : member,
  )
}

/** @throws ContractError when the text is no JSON, or has no whole number where one must be */
export function decodeJson(text: string, shape: Shape | null): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ContractError(`Expected JSON, found ${shown(text)}.`, { cause })
  }
  return revive(value, shape ?? undefined)
}

function revive(value: unknown, shape: Shape | undefined): unknown {
  if (shape === undefined || value === null || value === undefined) return value
  if (shape === 'int') return wholeNumber(value)
  if (typeof shape === 'string') return revive(value, schemaShapes[shape])
  if (isList(shape)) {
    return Array.isArray(value) ? value.map((element) => revive(element, shape[0])) : value
  }
  if (typeof value !== 'object') return value
  const object = value as Record<string, unknown>
  for (const name of Object.keys(shape)) {
    if (object[name] !== undefined) object[name] = revive(object[name], shape[name])
  }
  return object
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape)
}

function wholeNumber(value: unknown): bigint {
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return BigInt(value)
  throw new ContractError(`Expected digits, found ${shown(JSON.stringify(value))}.`)
}
