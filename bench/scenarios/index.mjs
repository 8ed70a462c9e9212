// Every scenario, in the order in which they run.
// In:  nothing.
// Out: the list; those that a command line asks for.
// Absent: running them (main.mjs).

import { UsageError } from '../options.mjs'
import { burst } from './burst.mjs'
import { compare } from './compare.mjs'
import { crash } from './crash.mjs'
import { limit } from './limit.mjs'
import { loadScenarios } from './loads.mjs'
import { overload } from './overload.mjs'
import { readWhileWrite } from './read-while-write.mjs'
import { scale } from './scale.mjs'
import { single } from './single.mjs'

/** The limit comes first: the others are given as ratios of it. */
export const scenarios = [
  limit,
  ...loadScenarios,
  single,
  readWhileWrite,
  burst,
  overload,
  crash,
  scale,
  compare,
]

/** Those named, or the default ones, or all that need no further flags. */
export function chosen({ scenarios: names, all, urls }) {
  const unknown = names.find((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown !== undefined) {
    const known = scenarios.map(({ name }) => name).join(', ')
    throw new UsageError(`Expected one of the scenarios ${known}; found ${unknown}.`)
  }
  if (names.length > 0) return scenarios.filter(({ name }) => names.includes(name))
  // A deployment that runs already is loaded, not started, killed or compared.
  const apply = urls.length === 0 ? scenarios : scenarios.filter(runsAnywhere)
  return apply.filter(({ name, isDefault }) => (all ? name !== 'compare' : isDefault))
}

function runsAnywhere({ name, kind }) {
  return kind === 'load' && name !== 'crash'
}
