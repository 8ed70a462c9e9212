// What must be ended or removed when the bench ends, however it ends.
// In:  functions.
// Out: each is called once: by whoever registered it, or on SIGINT and SIGTERM.
// Absent: kill -9.

const pending = new Set()

/** Registers a clean-up; call what is returned to run it. */
export function cleanup(action) {
  let ran
  const once = () => {
    pending.delete(once)
    ran ??= Promise.resolve(action())
    return ran
  }
  pending.add(once)
  return once
}

async function cleanAll() {
  // The newest first: a program before the database it uses.
  for (const action of [...pending].reverse()) await action().catch(() => undefined)
}

/** Ends the process after a signal, with everything cleaned up. */
export function cleanOnSignals() {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ]) {
    process.once(signal, () => void cleanAll().then(() => process.exit(code)))
  }
}
