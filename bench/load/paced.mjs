// Requests at a given rate, whether they are answered or not, over connections that are opened again
// when they break.
// In:  bodies, a rate or Infinity, how many connections.
// Out: each answer, with its time since the request was due.
// Absent: pipelining, TLS, any answer but those with Content-Length.

import { connect } from 'node:net'

const reconnectMs = 20
/** A timer of Node has no finer steps; a request is sent up to this long after it was due. */
const tickMs = 1

/*
 * A request that is due while every connection waits for an answer is sent when one is free, and its
 * time counts from when it was due: a program that stalls is not spared the requests that would have
 * come meanwhile.
 */
export function drivePaced({ urls, connections, rate, bodies, onAnswer, onError }) {
  const senders = Array.from(
    { length: connections },
    (_, index) => new Sender(new URL(urls[index % urls.length]), onAnswer, onError, sendDue),
  )
  let base = performance.now()
  let sent = 0
  let perSecond = rate
  let stopping = false
  const ticker = setInterval(sendDue, tickMs)

  function sendDue() {
    const now = performance.now()
    for (const sender of senders) {
      if (stopping || perSecond === 0) return
      if (!sender.isFree) continue
      const due = perSecond === Infinity ? now : base + (sent * 1000) / perSecond
      if (due > now) return
      sent++
      sender.send(bodies.next(), due)
    }
  }

  sendDue()
  return {
    setRate(next) {
      perSecond = next
      base = performance.now()
      sent = 0
    },
    /** Waits for the answers to what was sent, up to a limit. */
    async stop() {
      stopping = true
      clearInterval(ticker)
      await Promise.race([
        Promise.all(senders.map((sender) => sender.answered)),
        new Promise((resolve) => setTimeout(resolve, 10_000).unref()),
      ])
      for (const sender of senders) sender.end()
    },
  }
}

class Sender {
  /** Settles when nothing is under way. */
  answered = Promise.resolve()
  #url
  #onAnswer
  #onError
  #onFree
  #socket
  #connected = false
  #ended = false
  #underWay
  #settle = () => undefined
  #received = ''

  constructor(url, onAnswer, onError, onFree) {
    this.#url = url
    this.#onAnswer = onAnswer
    this.#onError = onError
    this.#onFree = onFree
    this.#open()
  }

  get isFree() {
    return this.#connected && this.#underWay === undefined
  }

  send({ number, body }, due) {
    const head =
      `POST /v1/transactions HTTP/1.1\r\nHost: ${this.#url.host}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
    this.#underWay = { number, due }
    this.answered = new Promise((resolve) => (this.#settle = resolve))
    // A copy: the body is patched again for another connection before the kernel has taken it.
    this.#socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]))
  }

  end() {
    this.#ended = true
    this.#socket.destroy()
  }

  #open() {
    const { hostname, port } = this.#url
    const socket = connect({ host: hostname, port: Number(port || 80), noDelay: true })
    this.#socket = socket
    this.#received = ''
    socket.once('connect', () => {
      this.#connected = true
      this.#onFree()
    })
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', () => {})
    socket.once('close', () => {
      this.#connected = false
      if (this.#underWay !== undefined) this.#onError()
      this.#finish()
      if (!this.#ended) setTimeout(() => this.#ended || this.#open(), reconnectMs)
    })
  }

  #receive(chunk) {
    this.#received += chunk.toString('latin1')
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = this.#received.slice(0, headEnd)
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    if (this.#received.length < headEnd + 4 + length) return
    this.#received = this.#received.slice(headEnd + 4 + length)
    const { number, due } = this.#underWay
    this.#onAnswer(number, Number(head.slice(9, 12)), performance.now() - due)
    this.#finish()
    if (/^connection: *close/im.test(head)) this.#socket.destroy()
    else this.#onFree()
  }

  #finish() {
    this.#underWay = undefined
    this.#settle()
  }
}
