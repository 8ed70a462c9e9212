// Finds the route of a request.
// In:  routes with `{names}` in their paths; a method and a path as sent.
// Out: the route with its parameters decoded, or why there is none.
// Absent: query strings, uWebSockets.js' own router (which cannot say which methods a path has).

import type { Route } from './http.ts'

export type Found =
  | { kind: 'route'; route: Route; parameters: readonly string[] }
  /** The path exists, the method does not; `allow` is the value of the Allow header. */
  | { kind: 'method'; allow: string }
  | { kind: 'malformed'; segment: string }
  | { kind: 'none' }

/** The routes that share a path. */
interface Place {
  pattern: RegExp
  methods: Map<string, Route>
  allow: string
}

const noParameters: readonly string[] = []

export class Router {
  private readonly exact = new Map<string, Place>()
  private readonly patterns: Place[] = []

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.add(route)
  }

  find(method: string, path: string): Found {
    const exact = this.exact.get(path)
    if (exact) return choose(exact, method, noParameters)
    for (const place of this.patterns) {
      const match = place.pattern.exec(path)
      if (match) return choose(place, method, match.slice(1))
    }
    return { kind: 'none' }
  }

  private add(route: Route): void {
    const isExact = !route.path.includes('{')
    const pattern = new RegExp(`^${route.path.replace(/\{[a-z_]+\}/g, '([^/]+)')}$`)
    let place = isExact
      ? this.exact.get(route.path)
      : this.patterns.find((one) => one.pattern.source === pattern.source)
    if (!place) {
      place = { pattern, methods: new Map(), allow: '' }
      if (isExact) this.exact.set(route.path, place)
      else this.patterns.push(place)
    }
    place.methods.set(route.method, route)
    // HEAD is GET without its body (RFC 9110, 9.3.2), so every GET route has it.
    if (route.method === 'GET') place.methods.set('HEAD', route)
    place.allow = [...place.methods.keys()].sort().join(', ')
  }
}

function choose(place: Place, method: string, segments: readonly string[]): Found {
  const route = place.methods.get(method)
  if (!route) return { kind: 'method', allow: place.allow }
  const parameters: string[] = []
  for (const segment of segments) {
    const decoded = decode(segment)
    if (decoded === undefined) return { kind: 'malformed', segment }
    parameters.push(decoded)
  }
  return { kind: 'route', route, parameters }
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
