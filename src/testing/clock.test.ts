// Programs that are started with a movable clock see it move, and the machine does not.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { openClock } from './clock.ts'

const clock = openClock()
const missing = typeof clock === 'string' ? clock : false

/** Tells from its main thread and from another what time it is, and how long it runs. */
const teller = `
const { Worker, isMainThread } = require('node:worker_threads')
setInterval(() => {
  console.log(isMainThread ? 'main' : 'thread', Date.now(), Math.round(performance.now()))
}, 20)
if (isMainThread) new Worker(__filename === '[eval]' ? process.argv[1] : '', { eval: true })
`

test('a step is seen in every thread, and timers go on', { skip: missing }, async (t) => {
  if (typeof clock === 'string') return
  t.after(() => clock.close())
  const [file, ...args] = [...clock.prefix, process.execPath, '-e', teller, teller]
  const child = spawn(file ?? '', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  /** The next time that fits, of either thread, in hours ahead of ours. */
  const seen = async (thread: string, hours: number): Promise<void> => {
    for (;;) {
      const { value, done } = (await lines.next()) as { value: string; done?: boolean }
      if (done === true) throw new Error(`${thread} never was ${hours} hours ahead.`)
      const [who, now] = value.split(' ')
      const ahead = (Number(now) - Date.now()) / 3_600_000
      if (who === thread && Math.abs(ahead - hours) < 0.01) return
    }
  }
  for (const hours of [3, -48]) {
    clock.set(hours * 3_600_000)
    await seen('main', hours)
    await seen('thread', hours)
  }
})
