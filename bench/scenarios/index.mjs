// Every scenario, in the order in which they run.
// In:  nothing.
// Out: the list; those that a command line asks for.
// Absent: running them (main.mjs).

import { UsageError } from '../options.mjs'
import { compare } from './compare.mjs'
import { limit } from './limit.mjs'
import { loadScenarios } from './loads.mjs'

/** The limit comes first: the others are given as ratios of it. */
export const scenarios = [limit, ...loadScenarios, compare]

/** Those named, or the default ones, or all that need no further flags. */
export function chosen({ scenarios: names, all, urls }) {
  const unknown = names.find((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown !== undefined) {
    const known = scenarios.map(({ name }) => name).join(', ')
    throw new UsageError(`Expected one of the scenarios ${known}; found ${unknown}.`)
  }
  if (names.length > 0) return scenarios.filter(({ name }) => names.includes(name))
  if (all) return scenarios.filter(({ name }) => name !== 'compare')
  return scenarios.filter(
    ({ isDefault, kind }) => isDefault && (urls.length === 0 || kind === 'load'),
  )
}
