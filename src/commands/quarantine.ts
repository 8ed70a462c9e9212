// transaction-ledger quarantine: looks at log records that could not be decoded, and sends them
// through ingress again.
// In:  arguments; the HTTP API of a running ledger.
// Out: a report on standard output, or on standard error what is wrong; the exit code.
// Absent: PostgreSQL and the log: what an operator may do here, ingress checks like any request.

import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import { batchesOf } from './quarantine/batches.ts'
import { helpText, readTask, type Place, type Task } from './quarantine/options.ts'

/** How long a batch is tried again while ingress is overloaded or away. */
const patienceMs = 60_000

interface QuarantinedRecord {
  partition: number
  offset: string
  log_identity: string
  reason: string
  size: number
  created_at: string
  quarantined_at: string
}

/** What cannot be done, in words for the operator. */
class Failure extends Error {}

export async function runQuarantine(argv: readonly string[]): Promise<number> {
  const task = readTask(argv)
  if (task === undefined) {
    say(helpText)
    return 0
  }
  try {
    if (task.kind === 'list') await list(task)
    else if (task.kind === 'show') await show(task)
    else await resubmit(task)
    return 0
  } catch (error) {
    const { cause } = error as { cause?: unknown }
    // fetch says only that it failed; its cause says why.
    const reason = cause instanceof Error ? `${messageOf(error)}: ${cause.message}` : ''
    process.stderr.write(`${reason || messageOf(error)}\n`)
    return 1
  }
}

async function list({ url }: Task): Promise<void> {
  let count = 0
  for (let cursor: string | null = ''; cursor !== null;) {
    const path: string = `/v1/quarantine?limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`
    const page = (await (await get(url, path)).json()) as {
      records: QuarantinedRecord[]
      next_cursor: string | null
    }
    for (const record of page.records) {
      const { partition, offset, size, quarantined_at: at, log_identity: log, reason } = record
      say(`partition ${partition} offset ${offset} (${size} bytes, ${at}, log ${log}): ${reason}`)
    }
    count += page.records.length
    cursor = page.next_cursor
  }
  say(count === 1 ? '1 record is in quarantine.' : `${count} records are in quarantine.`)
}

async function show({ url, place, output }: Extract<Task, { kind: 'show' }>): Promise<void> {
  const record = (await (await get(url, pathOf(place, ''))).json()) as QuarantinedRecord
  for (const [name, value] of Object.entries(record)) say(`${name}: ${value}`)
  if (output === undefined) return
  const bytes = await bytesOf(url, place)
  await writeFile(output, bytes)
  say(`${bytes.length} bytes are in ${output}.`)
}

async function resubmit(task: Extract<Task, { kind: 'resubmit' }>): Promise<void> {
  const { url, ingressUrl, place, file } = task
  const bytes = file === undefined ? await bytesOf(url, place) : await readFile(file)
  const batches = batchesOf(bytes)
  let accepted = 0
  for (const [index, batch] of batches.entries()) {
    const part = batches.length === 1 ? '' : `, part ${index + 1} of ${batches.length}`
    const where = `partition ${place.partition} offset ${place.offset}${part}`
    const reply = await post(ingressUrl, batch)
    const answer = (await reply.json()) as Record<string, unknown>
    if (!reply.ok) {
      throw new Failure(
        `${where}: refused with ${reply.status}: ${String(answer['detail'])} ` +
          `${accepted} transactions before it were accepted.`,
      )
    }
    accepted += Number(answer['accepted'])
    const receipt = String(answer['receipt'])
    say(`${where}: ${Number(answer['accepted'])} transactions accepted, receipt ${receipt}.`)
  }
}

/** Until it is taken or refused. */
async function post(base: URL, body: Uint8Array): Promise<Response> {
  const until = performance.now() + patienceMs
  for (;;) {
    const reply = await fetch(new URL('/v1/transactions', base), {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-protobuf' },
      body: Uint8Array.from(body),
    }).catch((error: unknown) => {
      if (performance.now() > until) throw error
      return undefined
    })
    const mayPass = reply === undefined || reply.status === 503 || reply.status === 429
    if (!mayPass || performance.now() > until) {
      if (reply !== undefined) return reply
      continue
    }
    await reply?.arrayBuffer()
    await delay(Number(reply?.headers.get('retry-after') ?? 1) * 1000)
  }
}

async function bytesOf(url: URL, place: Place): Promise<Uint8Array> {
  return new Uint8Array(await (await get(url, pathOf(place, '/bytes'))).arrayBuffer())
}

function pathOf({ partition, offset, logIdentity }: Place, suffix: string): string {
  const log = logIdentity === undefined ? '' : `?log_identity=${encodeURIComponent(logIdentity)}`
  return `/v1/quarantine/${partition}/${offset}${suffix}${log}`
}

async function get(base: URL, path: string): Promise<Response> {
  const reply = await fetch(new URL(path, base))
  if (reply.ok) return reply
  const { detail } = (await reply.json().catch(() => ({}))) as { detail?: string }
  throw new Failure(`${reply.status}: ${detail ?? 'the ledger gave no reason.'}`)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
