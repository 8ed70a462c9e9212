// Gives the partitions of a topic other leaders, as an administrator may at any time.
// In:  brokers, a topic, and by how many places to turn the order of its replicas.
// Out: how many partitions are led by another broker then.
// Absent: what the native client can ask itself (kafka-admin.ts).

/*
 * Kafka's protocol, as far as it is needed here:
 *
 * Request  => INT32 length, INT16 api, INT16 version, INT32 correlation, STRING client, [TAGS],
 *             body
 * Response => INT32 length, INT32 correlation, [TAGS], body
 * STRING   => INT16 length, UTF-8     ARRAY   => INT32 count, items
 * CSTRING  => UVARINT length + 1, …   CARRAY  => UVARINT count + 1, items    TAGS => 0
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { TopicAdmin } from './kafka-admin.ts'

const alterPartitionReassignments = 45
const electLeadersApi = 43
const preferred = 0
const timeoutMs = 10_000
const electionNotNeeded = 84

export async function electLeaders(brokers: string, topic: string, turn: number): Promise<number> {
  const admin = await TopicAdmin.open(brokers, topic)
  try {
    const before = await leaders(admin)
    const orders = new Map(
      [...before].map(([partition, { replicas }]) => {
        const at = turn % replicas.length
        return [partition, [...replicas.slice(at), ...replicas.slice(0, at)]]
      }),
    )
    const address = brokers.split(',')[0] ?? ''
    checkReassigned(
      await ask(address, alterPartitionReassignments, 0, true, reassign(topic, orders)),
    )
    const wanted = elect(topic, [...orders.keys()])
    checkElected(await ask(address, electLeadersApi, 1, false, wanted))
    return await countMoved(admin, before, orders)
  } finally {
    admin.close()
  }
}

interface Leadership {
  leader: number
  replicas: number[]
}

async function leaders(admin: TopicAdmin): Promise<Map<number, Leadership>> {
  const found = await admin.describe()
  if (found === undefined) throw new Error('Expected a topic, found none.')
  return new Map(
    found.partitions.map(({ partition, leader, replicas }) => [
      partition,
      { leader: leader?.id ?? -1, replicas: (replicas as { id: number }[]).map(({ id }) => id) },
    ]),
  )
}

/** Brokers tell each other of new leaders in their own time. */
async function countMoved(
  admin: TopicAdmin,
  before: ReadonlyMap<number, Leadership>,
  orders: ReadonlyMap<number, number[]>,
): Promise<number> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const now = await leaders(admin)
    const done = [...orders].every(([partition, [first]]) => now.get(partition)?.leader === first)
    if (done || Date.now() > deadline) {
      return [...now].filter(([at, { leader }]) => before.get(at)?.leader !== leader).length
    }
    await delay(100)
  }
}

function reassign(topic: string, orders: ReadonlyMap<number, readonly number[]>): Buffer {
  const partitions = [...orders].map(([partition, replicas]) =>
    Buffer.concat([int32(partition), uvarint(replicas.length + 1), ...replicas.map(int32), tags]),
  )
  const name = Buffer.from(topic)
  return Buffer.concat([
    int32(timeoutMs),
    uvarint(2),
    uvarint(name.length + 1),
    name,
    uvarint(partitions.length + 1),
    ...partitions,
    tags,
    tags,
  ])
}

function elect(topic: string, partitions: readonly number[]): Buffer {
  return Buffer.concat([
    Buffer.of(preferred),
    int32(1),
    string(topic),
    int32(partitions.length),
    ...partitions.map(int32),
    int32(timeoutMs),
  ])
}

/* Response => INT32 throttle, INT16 error, … */
function checkReassigned(body: Buffer): void {
  const error = body.readInt16BE(4)
  if (error !== 0) throw new Error(`Reassigning replicas was answered by error ${error}.`)
}

/* Response => INT32 throttle, INT16 error, … */
function checkElected(body: Buffer): void {
  const error = body.readInt16BE(4)
  if (error === 0 || error === electionNotNeeded) return
  throw new Error(`Electing leaders was answered by error ${error}.`)
}

async function ask(
  address: string,
  api: number,
  version: number,
  isFlexible: boolean,
  body: Buffer,
): Promise<Buffer> {
  const [host, port] = address.split(':')
  const socket = connect({ host: host ?? '', port: Number(port) })
  try {
    await once(socket, 'connect')
    const ends = isFlexible ? tags : Buffer.alloc(0)
    const head = [int16(api), int16(version), int32(1), string('tests'), ends]
    const request = Buffer.concat([...head, body])
    socket.write(Buffer.concat([int32(request.length), request]))
    const length = (await take(socket, 4)).readInt32BE(0)
    return (await take(socket, length)).subarray(isFlexible ? 5 : 4)
  } finally {
    socket.destroy()
  }
}

async function take(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(length) as Buffer | null
    if (bytes?.length === length) return bytes
    if (socket.readableEnded) throw new Error('The broker closed the connection.')
    await once(socket, 'readable')
  }
}

const tags = Buffer.of(0)

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([int16(bytes.length), bytes])
}

function uvarint(value: number): Buffer {
  const bytes: number[] = []
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...bytes, left])
    bytes.push((left & 0x7f) | 0x80)
  }
}
