// Requests at a given rate, whether they are answered or not, over connections that are opened again
// when they break.
// In:  bodies, a rate or Infinity, how many connections, how many of them heed Retry-After.
// Out: each answer, with its time since the request was due, and since it was sent.
// Absent: pipelining, TLS, any answer but those with Content-Length.

import { connect } from 'node:net'

const reconnectMs = 20
/** A timer of Node has no finer steps; a request is sent up to this long after it was due. */
const tickMs = 1
/** Requests that could not be sent for so long are not sent any more: their clients have left. */
const overdueMs = 1000

/*
 * A request that is due while every connection waits for an answer is sent when one is free, and its
 * time counts from when it was due: a program that stalls is not spared the requests that would have
 * come meanwhile.
 */
export function drivePaced(options) {
  const { urls, connections, rate, bodies, onAnswer, onError, isPatient = () => false } = options
  const senders = Array.from({ length: connections }, (_, index) => {
    const url = new URL(urls[index % urls.length])
    return new Sender({ url, onAnswer, onError, onFree: sendDue, isPatient: isPatient(index) })
  })
  let active = senders
  let base = performance.now()
  let sent = 0
  let perSecond = rate
  let stopping = false
  const ticker = setInterval(sendDue, tickMs)

  function sendDue() {
    const now = performance.now()
    if (options.dropsOverdue && perSecond > 0) {
      const overdue = Math.floor(((now - overdueMs - base) * perSecond) / 1000)
      if (perSecond < Infinity && overdue > sent) sent = overdue
    }
    for (const sender of active) {
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
    setRate(next, among = senders.length) {
      perSecond = next
      active = senders.slice(0, among)
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
  #isPatient
  #isResting = false
  #socket
  #connected = false
  #ended = false
  #underWay
  #settle = () => undefined
  #received = ''

  constructor({ url, onAnswer, onError, onFree, isPatient }) {
    this.#url = url
    this.#isPatient = isPatient
    this.#onAnswer = onAnswer
    this.#onError = onError
    this.#onFree = onFree
    this.#open()
  }

  get isFree() {
    return this.#connected && this.#underWay === undefined && !this.#isResting
  }

  send({ number, body }, due) {
    const head =
      `POST /v1/transactions HTTP/1.1\r\nHost: ${this.#url.host}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
    this.#underWay = { number, due, sentAt: performance.now() }
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
    const { number, due, sentAt } = this.#underWay
    const [status, now] = [Number(head.slice(9, 12)), performance.now()]
    this.#onAnswer(number, status, now - due, now - sentAt)
    this.#finish()
    if (status === 503 && this.#isPatient) this.#rest(/^retry-after: *(\d+)/im.exec(head)?.[1])
    if (/^connection: *close/im.test(head)) this.#socket.destroy()
    else this.#onFree()
  }

  #rest(seconds = '1') {
    this.#isResting = true
    const end = () => {
      this.#isResting = false
      this.#onFree()
    }
    setTimeout(end, Number(seconds) * 1000).unref()
  }

  #finish() {
    this.#underWay = undefined
    this.#settle()
  }
}
