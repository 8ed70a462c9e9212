// The hash of one uuid column by which PostgreSQL chooses a hash partition; its low 32 bits.
// In:  the 16 bytes as four little-endian words.
// Out: a 32-bit integer; modulo a power of two up to 2^32 it is PostgreSQL's own remainder.
// Absent: the high 32 bits (no power of two in use reaches them), lengths other than 16.

/*
 * PostgreSQL computes hash_combine64(0, hash_bytes_extended(uuid, 16, HASH_PARTITION_SEED)): Bob
 * Jenkins' lookup3 (mix, final) over three 32-bit lanes. Length and seed are the same for every
 * uuid, so the lanes after seeding are constants: hash64.test.ts derives them, and
 * partition.pg.test.ts asks PostgreSQL itself.
 */

/** Lanes after mixing in the length 16 and HASH_PARTITION_SEED, 0x7A5B22367996DCFD. */
const seededA = 0xfa45e45f | 0
const seededB = 0x8d5ccaf6 | 0
const seededC = 0xb01c733a | 0
/** Low half of the constant hash_combine64 adds to the hash of the first column. */
const combineLow = 0x15e5a8e3

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

/**
 * Low word of the hash of the uuid whose bytes are these four little-endian words, as a signed
 * integer.
 */
export function hashUuid(word0: number, word1: number, word2: number, word3: number): number {
  let a = (seededA + word0) | 0
  let b = (seededB + word1) | 0
  let c = (seededC + word2) | 0
  // mix
  a = ((a - c) | 0) ^ rotate(c, 4)
  c = (c + b) | 0
  b = ((b - a) | 0) ^ rotate(a, 6)
  a = (a + c) | 0
  c = ((c - b) | 0) ^ rotate(b, 8)
  b = (b + a) | 0
  a = ((a - c) | 0) ^ rotate(c, 16)
  c = (c + b) | 0
  b = ((b - a) | 0) ^ rotate(a, 19)
  a = (a + c) | 0
  c = ((c - b) | 0) ^ rotate(b, 4)
  b = (b + a) | 0
  // the last four bytes, and final
  a = (a + word3) | 0
  c = ((c ^ b) - rotate(b, 14)) | 0
  a = ((a ^ c) - rotate(c, 11)) | 0
  b = ((b ^ a) - rotate(a, 25)) | 0
  c = ((c ^ b) - rotate(b, 16)) | 0
  a = ((a ^ c) - rotate(c, 4)) | 0
  b = ((b ^ a) - rotate(a, 14)) | 0
  c = ((c ^ b) - rotate(b, 24)) | 0
  return (c + combineLow) | 0
}
