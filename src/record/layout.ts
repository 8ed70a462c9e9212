// One transaction as bytes: where each field of the canonical encoding stands.
// In:  nothing.
// Out: offsets and lengths in bytes.
// Absent: reading and writing (encode.ts, walk.ts).

/*
 * TransactionBatch => *( 0A 2D Transaction )       47 bytes each, fields in order of number
 * Transaction      => 0A 10 id[16]  12 10 account_id[16]  19 amount[8, little endian]
 *
 * protobuf permits other encodings of the same message (fields in another order, a field left out,
 * a field twice). Ingress writes only this one; the walker reads this one fast and every other one
 * correctly.
 */

/** Partitions of the log, and the modulus of the hash that assigns accounts to them. */
export const partitionCount = 128

/** Length of a UUID in bytes. */
export const uuidBytes = 16

/** Length of one canonical entry, its tag and length prefix included, in bytes. */
export const entryBytes = 47

/** Where the 16 bytes of `id` begin in a canonical entry. */
export const idAt = 4

/** Where the 16 bytes of `account_id` begin in a canonical entry. */
export const accountIdAt = 22

/** Where the 8 bytes of `amount` begin in a canonical entry. */
export const amountAt = 39
