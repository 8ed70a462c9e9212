// Logging in at a broker by name and password: PLAIN and SCRAM (RFC 4616, RFC 5802).
// In:  mechanism, name, password, and the broker's challenges.
// Out: what to send next.
// Absent: tickets and tokens (GSSAPI, OAUTHBEARER), which only the native client speaks.

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const stretch = promisify(pbkdf2)

export interface SaslExchange {
  /**
   * What to send after `challenge` (none at first), or `undefined` once both sides are satisfied.
   */
  next(challenge: Buffer | undefined): Promise<Buffer | undefined>
}

export function saslMechanism(mechanism: string, name: string, password: string): SaslExchange {
  if (mechanism === 'PLAIN') return new Plain(name, password)
  if (mechanism === 'SCRAM-SHA-256') return new Scram('sha256', name, password)
  if (mechanism === 'SCRAM-SHA-512') return new Scram('sha512', name, password)
  throw new Error(`${mechanism} is spoken by the native client only`)
}

class Plain implements SaslExchange {
  private readonly message: Buffer

  constructor(name: string, password: string) {
    this.message = Buffer.from(`\0${name}\0${password}`)
  }

  async next(challenge: Buffer | undefined): Promise<Buffer | undefined> {
    return challenge === undefined ? this.message : undefined
  }
}

class Scram implements SaslExchange {
  private readonly hash: 'sha256' | 'sha512'
  private readonly password: string
  private readonly first: string
  private readonly nonce = randomBytes(24).toString('base64url')
  /** What the broker must answer to our proof; set with the proof. */
  private expected: Buffer | undefined

  constructor(hash: 'sha256' | 'sha512', name: string, password: string) {
    this.hash = hash
    this.password = password
    const escaped = name.replaceAll('=', '=3D').replaceAll(',', '=2C')
    this.first = `n=${escaped},r=${this.nonce}`
  }

  async next(challenge: Buffer | undefined): Promise<Buffer | undefined> {
    if (challenge === undefined) return Buffer.from(`n,,${this.first}`)
    if (this.expected === undefined) return this.prove(challenge.toString())
    const verifier = Buffer.from(field(challenge.toString(), 'v'), 'base64')
    if (verifier.length !== this.expected.length || !timingSafeEqual(verifier, this.expected)) {
      throw new Error('the broker does not know the password')
    }
    return undefined
  }

  private async prove(challenge: string): Promise<Buffer> {
    const nonce = field(challenge, 'r')
    if (!nonce.startsWith(this.nonce)) throw new Error('the broker changed the nonce')
    const salt = Buffer.from(field(challenge, 's'), 'base64')
    const rounds = Number(field(challenge, 'i'))
    const length = this.hash === 'sha256' ? 32 : 64
    const salted = await stretch(this.password, salt, rounds, length, this.hash)
    const last = `c=${Buffer.from('n,,').toString('base64')},r=${nonce}`
    const transcript = `${this.first},${challenge},${last}`
    const clientKey = this.sign(salted, 'Client Key')
    const storedKey = createHash(this.hash).update(clientKey).digest()
    const signature = this.sign(storedKey, transcript)
    const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))
    this.expected = this.sign(this.sign(salted, 'Server Key'), transcript)
    return Buffer.from(`${last},p=${Buffer.from(proof).toString('base64')}`)
  }

  private sign(key: Buffer, text: string): Buffer {
    return createHmac(this.hash, key).update(text).digest()
  }
}

/** The value of `name=` in a comma list. */
function field(message: string, name: string): string {
  const found = message.split(',').find((part) => part.startsWith(`${name}=`))
  if (found === undefined) throw new Error(`the broker sent no ${name}`)
  return found.slice(2)
}
