// The scenarios that are one steady load: what is sent, by how many connections.
// In:  options.
// Out: figures of a measured run.
// Absent: how a run is measured (support/measure.mjs).

import { measure } from '../support/measure.mjs'

const steady = { items: 5000, connections: 8 }

/** Every entry is a scenario: title, connections, and options of Bodies. */
const loads = {
  steady: { title: 'batches of 5000, 100,000 accounts', ...steady, isDefault: true },
  medium: { title: 'batches of 500', items: 500, connections: 32, isDefault: true },
  small: { title: 'batches of 50', items: 50, connections: 128, isDefault: true },
  uniform: { title: 'batches of 5000, a million accounts alike', ...steady, accounts: 1_000_000 },
  zipf: {
    title: 'batches of 5000, few accounts take most (Zipf, exponent 1, of a million)',
    ...steady,
    accounts: 1_000_000,
    choice: 'zipf',
    isDefault: true,
  },
  'one-account': { title: 'batches of 5000, all on one account', ...steady, choice: 'one' },
  replay: {
    title: 'batches of 5000, every tenth item sent before',
    ...steady,
    repeats: 10,
    isDefault: true,
  },
  conflict: {
    title: 'the same, and every hundredth repeat with another amount',
    ...steady,
    repeats: 10,
    conflicts: 100,
  },
}

/** About how long a run takes, with start, drain, and the verification of what it has sent. */
export function runSeconds({ warmUpSeconds, seconds }) {
  return (warmUpSeconds + seconds) * 1.4 + 6
}

/** Settings of measure() for a load by name. */
export function loadSettings(name, options) {
  const { connections, items, accounts, choice, repeats, conflicts } = loads[name]
  return {
    load: {
      connections: options.connections ?? connections,
      bodies: { items, accounts, choice, repeats, conflicts },
    },
    deployment: { flags: options.flags },
    warmUpSeconds: options.warmUpSeconds,
    seconds: options.seconds,
  }
}

export const loadScenarios = Object.entries(loads).map(([name, { title, isDefault }]) => ({
  name,
  title,
  isDefault: isDefault === true,
  kind: 'load',
  seconds: runSeconds,
  run: (bench) => measure(bench, loadSettings(name, bench.options)),
}))
