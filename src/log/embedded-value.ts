// A record as the embedded log stores it: when it was accepted, and its bytes.
// In:  a time and bytes.
// Out: one buffer that lmdb writes and memory keeps; and back again.
// Absent: keys, lmdb.

/* Value => INT64 timestamp, milliseconds since 1970 UTC, big endian; the record's bytes */
export const timestampBytes = 8

/**
 * Values are cut from buffers of this size: one for each would cost the garbage collector more than
 * the copy.
 */
const slabBytes = 1 << 20

/**
 * Copies records into memory of its own. A slab is freed once none of its values is used any more.
 */
export class ValueEncoder {
  private slab = Buffer.allocUnsafeSlow(slabBytes)
  private used = 0

  encode(timestamp: number, bytes: Uint8Array): Buffer {
    const value = this.allocate(timestampBytes + bytes.length)
    value.writeUInt16BE(0, 0)
    value.writeUIntBE(timestamp, 2, 6)
    value.set(bytes, timestampBytes)
    return value
  }

  private allocate(length: number): Buffer {
    if (length > slabBytes / 4) return Buffer.allocUnsafeSlow(length)
    if (this.used + length > slabBytes) {
      this.slab = Buffer.allocUnsafeSlow(slabBytes)
      this.used = 0
    }
    const value = this.slab.subarray(this.used, this.used + length)
    this.used += length
    return value
  }
}

export function timestampOf(value: Buffer): number {
  return value.readUIntBE(2, 6)
}

/** The record's bytes within its stored value, not copied. */
export function bytesOf(value: Buffer): Buffer {
  return value.subarray(timestampBytes)
}
