// As much as the program takes: autocannon, each connection sending its next request once the last
// one is answered.
// In:  bodies, how many connections.
// Out: each answer, with the request it belongs to.
// Absent: a rate (paced.mjs), reconnecting to a program that was killed (paced.mjs as well).

const headers = { 'content-type': 'application/json' }

/*
 * autocannon makes a new request when a connection breaks, and may then open two connections for one
 * client. What such a client is answered afterwards cannot be laid to one request with certainty, so
 * its later requests count as unanswered: they may be in the ledger or not.
 */
export async function driveClosed({ urls, connections, bodies, onAnswer, onError }) {
  const { default: autocannon } = await import('autocannon')
  const doubtful = new Set()
  let clients = 0
  const request = {
    setupRequest(defaults, context) {
      const { number, body } = bodies.next()
      context.number = number
      context.sentAt = performance.now()
      return { ...defaults, body }
    },
    onResponse(status, _, { connection, number, sentAt }) {
      if (doubtful.has(connection)) onError()
      else onAnswer(number, status, performance.now() - sentAt)
    },
  }
  const run = autocannon({
    url: urls.map((url) => `${url}/v1/transactions`),
    method: 'POST',
    duration: 86_400,
    sampleInt: 100,
    connections,
    timeout: 30,
    headers,
    requests: [request],
    setupClient(client) {
      const connection = clients++
      client.opts.initialContext = { connection }
      const doubt = () => {
        doubtful.add(connection)
        onError()
      }
      client.on('connError', doubt).on('timeout', doubt)
    },
  })
  return {
    setRate() {
      throw new Error('a closed loop has no rate')
    },
    async stop() {
      run.stop()
      await run
    },
  }
}
