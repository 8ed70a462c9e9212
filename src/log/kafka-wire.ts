// One question to a broker that the native client cannot ask: the settings of a topic
// (DescribeConfigs).
// In:  the connection's brokers and security properties, and a topic.
// Out: the topic's settings by name.
// Absent: records. Anything that matters for durability goes through the native client.

/*
 * Request  => INT32 length, INT16 api, INT16 version, INT32 correlation, STRING client, body
 * Response => INT32 length, INT32 correlation, body
 * STRING   => INT16 length or -1, UTF-8
 * ARRAY    => INT32 count or -1, items
 * BYTES    => INT32 length, bytes
 */

import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type Socket, connect as connectPlain } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { type SaslExchange, saslMechanism } from './kafka-sasl.ts'

type Properties = Readonly<Record<string, string>>

const api = { saslHandshake: 17, describeConfigs: 32, saslAuthenticate: 36 } as const
/** Longest answer believed; 40 settings take some kilobytes. */
const answerBytesMax = 4 * 1024 * 1024
const topicResource = 2

/**
 * Asks the brokers in turn. Rejects when none answers within `timeout` milliseconds each, or the
 * answer is an error.
 */
export async function topicSettings(
  brokers: string,
  properties: Properties,
  topic: string,
  timeout: number,
): Promise<Map<string, string>> {
  const failures: unknown[] = []
  for (const broker of brokers.split(',')) {
    let socket: Socket | undefined
    try {
      socket = await open(broker.trim(), properties, timeout)
      const wire = new Wire(socket)
      await authenticate(wire, properties)
      return await describe(wire, topic)
    } catch (error) {
      failures.push(error)
    } finally {
      socket?.destroy()
    }
  }
  throw new AggregateError(failures, failures.map(String).join('; '))
}

async function open(broker: string, properties: Properties, timeout: number): Promise<Socket> {
  const address = /^(?:\w+:\/\/)?\[?(.+?)\]?(?::(\d+))?$/.exec(broker)
  const host = address?.[1] ?? broker
  const port = Number(address?.[2] ?? 9092)
  const secure = /ssl$/i.test(properties['security.protocol'] ?? '')
  const signal = AbortSignal.timeout(timeout)
  const socket = secure
    ? connectTls({ host, port, servername: host, ...(await tlsOptions(properties)) })
    : connectPlain({ host, port })
  // Without a listener an error between two requests would end the process.
  socket.on('error', () => {})
  signal.addEventListener('abort', () => socket.destroy(new Error(`${broker} did not answer`)))
  await once(socket, secure ? 'secureConnect' : 'connect')
  return socket
}

async function tlsOptions(properties: Properties): Promise<ConnectionOptions> {
  const file = async (name: string): Promise<Buffer | undefined> => {
    const path = properties[name]
    return path === undefined ? undefined : readFile(path)
  }
  const ca = properties['ssl.ca.pem'] ?? (await file('ssl.ca.location'))
  const cert = properties['ssl.certificate.pem'] ?? (await file('ssl.certificate.location'))
  const key = properties['ssl.key.pem'] ?? (await file('ssl.key.location'))
  const pfx = await file('ssl.keystore.location')
  const passphrase = properties['ssl.key.password'] ?? properties['ssl.keystore.password']
  const anyName = properties['ssl.endpoint.identification.algorithm'] === 'none'
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(pfx !== undefined && { pfx }),
    ...(passphrase !== undefined && { passphrase }),
    ...(anyName && { checkServerIdentity: () => undefined }),
    rejectUnauthorized: properties['enable.ssl.certificate.verification'] !== 'false',
  }
}

async function authenticate(wire: Wire, properties: Properties): Promise<void> {
  if (!/^sasl/i.test(properties['security.protocol'] ?? '')) return
  const mechanism = properties['sasl.mechanism'] ?? properties['sasl.mechanisms'] ?? 'GSSAPI'
  const exchange: SaslExchange = saslMechanism(
    mechanism,
    properties['sasl.username'] ?? '',
    properties['sasl.password'] ?? '',
  )
  const handshake = await wire.ask(api.saslHandshake, 1, new Writer().string(mechanism))
  expectSuccess(handshake.int16(), `${mechanism} is not offered`)
  let challenge: Buffer | undefined
  for (;;) {
    const response = await exchange.next(challenge)
    if (response === undefined) return
    const answer = await wire.ask(api.saslAuthenticate, 0, new Writer().bytes(response))
    const code = answer.int16()
    expectSuccess(code, answer.string() ?? 'authentication failed')
    challenge = answer.bytes()
  }
}

async function describe(wire: Wire, topic: string): Promise<Map<string, string>> {
  const request = new Writer().int32(1).int8(topicResource).string(topic).int32(-1).int8(0)
  const answer = await wire.ask(api.describeConfigs, 1, request)
  answer.int32() // How long the broker throttles us.
  answer.int32() // Resources in the answer: the one asked for.
  const code = answer.int16()
  expectSuccess(code, answer.string() ?? 'no reason given')
  answer.int8()
  answer.string()
  const settings = new Map<string, string>()
  for (let left = answer.int32(); left > 0; left -= 1) {
    const name = answer.string() ?? ''
    settings.set(name, answer.string() ?? '')
    answer.skip(3) // Read-only, source, sensitive.
    for (let synonyms = answer.int32(); synonyms > 0; synonyms -= 1) {
      answer.string()
      answer.string()
      answer.skip(1)
    }
  }
  return settings
}

function expectSuccess(code: number, reason: string): void {
  if (code !== 0) throw new Error(`the broker answered error ${code}: ${reason}`)
}

/** One request at a time on one socket. */
class Wire {
  private readonly socket: Socket
  private correlation = 0

  constructor(socket: Socket) {
    this.socket = socket
  }

  async ask(key: number, version: number, body: Writer): Promise<Reader> {
    this.correlation += 1
    const header = new Writer().int16(key).int16(version).int32(this.correlation)
    const request = Buffer.concat([header.string('transaction-ledger').finish(), body.finish()])
    this.socket.write(new Writer().bytes(request).finish())
    const length = (await this.take(4)).readInt32BE(0)
    if (length < 4 || length > answerBytesMax) throw new Error(`an answer of ${length} bytes`)
    const reader = new Reader(await this.take(length))
    const correlation = reader.int32()
    if (correlation !== this.correlation) throw new Error('an answer to another request')
    return reader
  }

  private async take(length: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.socket.read(length) as Buffer | null
      if (bytes !== null && bytes.length === length) return bytes
      if (this.socket.destroyed || this.socket.readableEnded) {
        throw this.socket.errored ?? new Error('the broker closed the connection')
      }
      await new Promise<void>((resolve) => {
        const go = (): void => {
          this.socket.off('readable', go).off('close', go).off('end', go)
          resolve()
        }
        this.socket.on('readable', go).on('close', go).on('end', go)
      })
    }
  }
}

class Writer {
  private readonly parts: Buffer[] = []

  int8(value: number): this {
    return this.put(1, (part) => part.writeInt8(value))
  }

  int16(value: number): this {
    return this.put(2, (part) => part.writeInt16BE(value))
  }

  int32(value: number): this {
    return this.put(4, (part) => part.writeInt32BE(value))
  }

  string(value: string): this {
    const bytes = Buffer.from(value)
    this.int16(bytes.length)
    this.parts.push(bytes)
    return this
  }

  bytes(value: Uint8Array): this {
    this.int32(value.length)
    this.parts.push(Buffer.from(value))
    return this
  }

  finish(): Buffer {
    return Buffer.concat(this.parts)
  }

  private put(length: number, write: (part: Buffer) => void): this {
    const part = Buffer.alloc(length)
    write(part)
    this.parts.push(part)
    return this
  }
}

/** Reading past the end throws a RangeError, which is an answer we do not understand. */
class Reader {
  private readonly from: Buffer
  private at = 0

  constructor(from: Buffer) {
    this.from = from
  }

  int8(): number {
    return this.from.readInt8(this.skip(1))
  }

  int16(): number {
    return this.from.readInt16BE(this.skip(2))
  }

  int32(): number {
    return this.from.readInt32BE(this.skip(4))
  }

  string(): string | undefined {
    const length = this.int16()
    if (length < 0) return undefined
    const start = this.skip(length)
    return this.from.toString('utf8', start, this.at)
  }

  bytes(): Buffer {
    const length = Math.max(this.int32(), 0)
    const start = this.skip(length)
    return this.from.subarray(start, this.at)
  }

  /** Returns where it was. */
  skip(length: number): number {
    const before = this.at
    this.at += length
    if (this.at > this.from.length) throw new RangeError('an answer cut short')
    return before
  }
}
