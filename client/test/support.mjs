// What the tests of the client put between it and the world.
// In:  what is to go wrong.
// Out: an HTTP server that answers by a script; a proxy that cuts connections.
// Absent: the ledger; where a test is about it, it is the real one.

import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'

/**
 * A server that gives these answers one after the other, the last of them for ever, and keeps what
 * it was sent. An answer is `{ status, headers, body }`, or 'cut', or 'silence'.
 */
export async function scriptedServer(t, answers) {
  const requests = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text) => (body += text))
    request.on('end', () => {
      const { method, url, headers } = request
      const answer = answers[Math.min(requests.length, answers.length - 1)]
      requests.push({ method, url, headers, body, at: performance.now() })
      if (answer === 'cut') request.socket.destroy()
      else if (answer !== 'silence') reply(response, answer, JSON.parse(body || 'null'))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${server.address().port}`, requests }
}

function reply(response, answer, sent) {
  const { status, headers = {}, body } = typeof answer === 'function' ? answer(sent) : answer
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

/** 202 for whatever was sent. */
export const taken = (sent) => ({ status: 202, body: { accepted: sent.length, receipt: 'r' } })

export function problem(status, members = {}) {
  const body = { type: '/problems/x', title: 'X', status, detail: 'because', ...members }
  return { status, headers: { 'content-type': 'application/problem+json' }, body }
}

/**
 * Passes bytes on, until `fate()` says to cut: 'request' before the request is passed on whole,
 * 'reply' once the target has answered, when the request has had its effect.
 */
export async function faultyProxy(t, targetPort, fate) {
  const cuts = { request: 0, reply: 0 }
  const sockets = new Set()
  const server = net.createServer((near) => {
    const far = net.connect(targetPort, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    const pass = (kind, to) => (bytes) => {
      if (to.destroyed) return
      if (fate(kind) === 'cut') {
        cuts[kind] += 1
        // Part of it arrives.
        if (kind === 'request') to.write(bytes.subarray(0, bytes.length / 2))
        near.destroy()
      } else {
        to.write(bytes)
      }
    }
    near.on('data', pass('request', far))
    far.on('data', pass('reply', near))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `http://127.0.0.1:${server.address().port}`, cuts }
}
