// What is not as it should be.
// In:  findings, as they are made.
// Out: each as one sentence; how many there are of each kind.
// Absent: looking for any.

export interface Finding {
  /** What was checked, a word or two. */
  check: string
  where: string
  expected: string
  found: string
}

/** Of one kind and place told one by one; the rest is counted. */
const toldMax = 100

function findingText({ check, where, expected, found }: Finding): string {
  return `${check}: ${where}: expected ${expected}, found ${found}.`
}

export class Findings {
  /** By kind and place. */
  readonly counts: Map<string, number>
  readonly #tell: (text: string) => void

  constructor(counts: Readonly<Record<string, number>>, tell: (text: string) => void) {
    this.counts = new Map(Object.entries(counts))
    this.#tell = tell
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }

  /** @param scope what many findings of one kind would have in common, such as a bucket */
  add(scope: string, finding: Finding): void {
    const key = `${finding.check} (${scope})`
    const count = (this.counts.get(key) ?? 0) + 1
    this.counts.set(key, count)
    if (count <= toldMax) this.#tell(findingText(finding))
    if (count === toldMax) this.#tell(`${key}: further findings are counted, not told.`)
  }
}
