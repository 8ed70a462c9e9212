// Steps of an axis that people count in.
// In:  the largest value.
// Out: ticks from 0, the last of them not below the value.
// Absent: drawing.

/** 1, 2 or 5 times a power of ten, three to six of them. */
export function ticksUpTo(most) {
  if (!(most > 0)) return [0, 1]
  const power = 10 ** Math.floor(Math.log10(most / 4))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => most / each <= 5)
  const count = Math.ceil(most / step - 1e-9)
  return Array.from({ length: count + 1 }, (_, index) => index * step)
}

/** Powers of ten around values above 0, for an axis that grows by factors. */
export function decadesAround(values) {
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.ceil(Math.log10(Math.max(...values)))
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index))
}
