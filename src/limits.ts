// Every bound of the program, with its unit last in its name, asserted where two of them meet.
// In:  nothing.
// Out: constants.
// Absent: defaults of flags that are not bounds (config.ts).

import assert from 'node:assert/strict'
import { entryBytes, partitionCount } from './record/layout.ts'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** Most transactions in one request. */
export const requestItemsMax = 5000

/**
 * Default of `--max-body`: a JSON body of 5000 items is 571 kB when compact; pretty-printed about
 * 900 kB.
 */
export const requestBodyBytesMax = 2 * mebibyte

/**
 * Default of `--max-inflight`: body and slab bytes of requests not answered yet; past it ingress
 * answers 503.
 */
export const inflightBytesMax = 128 * mebibyte

/**
 * JSON bodies from this size on go to a decode thread, where there are any; reading a smaller one
 * takes little longer than the way there and back.
 */
export const decodeBodyBytesMin = 64 * kibibyte

/** Most bodies that wait for a decode thread: as many of the smallest as may be under way. */
export const decodeQueueMax = inflightBytesMax / decodeBodyBytesMin

/** Longest time a client may wait for its items to be persisted, in one request. */
export const waitMsMax = 30_000

/**
 * Requests that wait for their items to be persisted; past it 503. Each is a connection and a few
 * hundred bytes, and those that want outcomes hold their items, which count as bytes under way.
 */
export const settleWaitersMax = 1024

/** Between two looks at how far a database is persisted, while somebody waits for it. */
export const watchGapMsMin = 4
export const watchGapMsMax = 25

/** The same after a look that failed. */
export const watchRetryMs = 250

/** Most replies that are streamed at a time; past it, 503. */
export const streamsMax = 256

/** Most bytes of a stream handed to the HTTP server at once: what a slow client makes it hold. */
export const streamPieceBytes = 64 * kibibyte

/**
 * A client that takes none of a piece for so long is cut. uWebSockets.js does so itself after 8 to
 * 12 s, so longer would mean nothing.
 */
export const streamStallMs = 8_000

/** Exports of accounts at a time, each with a connection to PostgreSQL of its own; past it, 503. */
export const exportsMax = 4

/** An export that takes longer is ended: as long as it lasts, PostgreSQL cannot clean up. */
export const exportMinutesMax = 60

/** A partition's slab is cut into a record when the next entry would not fit. */
export const slabBytes = 64 * kibibyte

/** Largest record a worker takes from the log; ingress never writes one larger than a slab. */
export const recordBytesMax = 1 * mebibyte

/** One worker's ring of records on their way from the orchestrator. */
export const ringBytes = 32 * mebibyte

/** Bytes asked of a log reader at a time. */
export const readBytes = 2 * mebibyte

/** Most rows in one flush. */
export const flushRowsMax = 262_144

/** Rows for which an open leaf is meant: its key is built in about half a second. */
export const openLeafRows = 384 * kibibyte

/**
 * Leaves within the days of a bucket past which none is opened. Whoever looks in a bucket without
 * knowing the time locks each leaf and its two indexes, and takes 0.07 ms for it; PostgreSQL as it
 * comes has room for some 7,000 locks, and past that neither an account can be read nor a
 * repetition merged.
 */
export const bucketLeavesMax = 512

/** Most accounts in one request for balances. */
export const balanceAccountsMax = 1000

/** Room for as many ids, each on a line of its own, and some. */
export const balancesBodyBytesMax = 128 * kibibyte

/** Slots of the set that remembers the keys of an open leaf, 4 bytes each; a power of two. */
export const keySetSlots = 1024 * kibibyte

/** Most keys in it: past this, looking one up takes too long, and the leaf is sealed. */
export const keySetKeysMax = 0.75 * keySetSlots

/**
 * PostgreSQL binary COPY row: INT16 4, then INT32 length and value of account_id, id, amount,
 * created_at.
 */
export const rowBytes = 2 + 2 * (4 + 16) + 2 * (4 + 8)

/** Signature, flags and extension length that begin a binary COPY. */
export const copyHeaderBytes = 19

/** The INT16 -1 that ends a binary COPY. */
export const copyTrailerBytes = 2

/**
 * Times that a record may have, in milliseconds since 1970 UTC: from the year 1 to the last that a
 * Date knows, and PostgreSQL knows them all. A record without a time has -1.
 */
export const timestampMin = -62_135_596_800_000
export const timestampMax = 8_640_000_000_000_000

/** Default of `--query-connections`: reads at once, for each server. */
export const queryConnectionsDefault = 8

/** Reads that may wait for a connection to a server; the next one is answered 503. */
export const queryWaitingMax = 256

/** How long a read may wait for its turn, and again for a new connection. */
export const queryWaitSeconds = 3

/** Rows of GET /v1/changes read at a time, unless one log record has more. */
export const changesRowsMax = 10_000

/** Rows of an event of it, unless one log record has more. */
export const changesEventRowsMax = 1_000

/** Clients that follow GET /v1/changes at a time; the next one is answered 503. */
export const changesReadersMax = 64

/** Reads of GET /v1/changes at a time, so that other reads find connections. */
export const changesReadsMax = 2

/** Most quarantined records in one flush; their bytes are kept whole in the table. */
export const flushQuarantineMax = 64

/** Rows of a bucket read at once to be hashed, unless one instant has more; 56 bytes each. */
export const chainRowsMax = 256 * kibibyte

/** Longest line that `import` reads; what a transaction needs is a hundredth of it. */
export const importLineBytesMax = 64 * kibibyte

/** A group of lines that `import` sends as one request is cut here, however few they are. */
export const importGroupBytesMax = 2 * mebibyte

assert(importLineBytesMax < importGroupBytesMax, 'a line must fit a group')
assert.equal(rowBytes, 66)
assert(balanceAccountsMax * 64 <= balancesBodyBytesMax)
assert(changesEventRowsMax < changesRowsMax && changesReadersMax < streamsMax)
assert(openLeafRows * 2 <= keySetKeysMax, 'the load may double while a leaf is open')
assert(slabBytes <= recordBytesMax, 'a slab must be a record a worker can take')
assert(recordBytesMax * 4 <= ringBytes, 'a ring must hold several of the largest records')
assert(readBytes >= recordBytesMax, 'a read must be able to return the largest record')
assert(
  Math.floor(recordBytesMax / entryBytes) <= flushRowsMax,
  'a flush must be able to hold the largest record',
)
assert(
  partitionCount * slabBytes * 2 <= inflightBytesMax,
  'every slab may be full and replaced at once',
)
assert(streamsMax * streamPieceBytes <= inflightBytesMax, 'streams hold no more than bodies do')
assert(requestItemsMax * entryBytes <= inflightBytesMax)
