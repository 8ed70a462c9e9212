// Asks a server to stop what a session has it do, as a client that went away wants it to.
// In:  a session that is busy, and how it was connected.
// Out: a promise that the server has read the request.
// Absent: whether there was anything to stop: PostgreSQL does not say.

import type pg from 'pg'
import { Client } from 'pg'

/** What the type declarations leave out of pg's own protocol level. */
interface Messenger {
  host: string
  port: number
  connection: {
    ssl: unknown
    sslNegotiation: string
    requestSsl(): void
    stream: { destroy(): void }
    connect(portOrPath: number | string, host?: string): void
    cancel(processId: number, secret: unknown): void
    once(event: string, listener: () => void): void
    on(event: string, listener: () => void): void
  }
}

const answerMs = 5000

/**
 * The request travels on a connection of its own, and so past a pooler too. It may come late and
 * hit whatever the session does next: so the session must do nothing else any more.
 */
export function requestCancel(options: pg.ClientConfig, session: pg.ClientBase): Promise<void> {
  const { host, port, connection } = new Client(options) as unknown as Messenger
  const { processID, secretKey } = session as unknown as { processID: number; secretKey: unknown }
  return new Promise((resolve) => {
    const timer = setTimeout(() => connection.stream.destroy(), answerMs)
    connection.on('error', () => connection.stream.destroy())
    connection.once('end', () => {
      clearTimeout(timer)
      resolve()
    })
    const cancel = (): void => connection.cancel(processID, secretKey)
    if (connection.ssl) {
      connection.once('sslconnect', cancel)
      if (connection.sslNegotiation !== 'direct') {
        connection.once('connect', () => connection.requestSsl())
      }
    } else {
      connection.once('connect', cancel)
    }
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
    else connection.connect(port, host)
  })
}
