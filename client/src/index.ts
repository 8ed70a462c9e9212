// What a program imports from @transaction-ledger/client.
// In:  the modules beside it.
// Out: the client, its options, its errors, the types of the contract.
// Absent: anything else.

export type { CallOptions } from './calls.ts'
export {
  ContractError,
  InvalidTransactionError,
  LedgerError,
  RefusedError,
  UnavailableError,
} from './errors.ts'
export type * from './gen/contract.ts'
export { Ledger, type Posted, type Refused, type StatementOptions } from './ledger.ts'
export type { RetryOptions } from './retry.ts'
export type { TransportOptions } from './transport.ts'
export { uuidv7 } from './uuid.ts'
export { Writer, type Added, type WriterOptions } from './writer.ts'
