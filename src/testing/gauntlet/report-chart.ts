// Rates over time with the faults marked, as inline SVG.
// In:  a timeline.
// Out: a figure.
// Absent: scripts.

import type { Sample, Timeline } from './timeline.ts'

const width = 1000
const height = 260
const left = 56
const bottom = 26
const top = 10
/** More points than this cannot be told apart. */
const pointsMax = 500

export function rateChart({ samples, recoveries }: Timeline): string {
  const points = thinned(samples)
  const until = samples.at(-1)?.at ?? 0
  if (points.length < 2) return ''
  const most = Math.max(1, ...points.flatMap((one) => [one.acknowledged, one.persisted]))
  const x = (at: number): string => (left + (at / until) * (width - left - 10)).toFixed(1)
  const y = (rate: number): string =>
    (height - bottom - (rate / most) * (height - bottom - top)).toFixed(1)
  const line = (kind: string, of: (sample: Sample) => number): string => {
    const path = points.map((one, i) => `${i === 0 ? 'M' : 'L'}${x(one.at)} ${y(of(one))}`)
    return `<path class="${kind}" d="${path.join('')}"/>`
  }
  const marks = recoveries.map(({ struckAt, healedAt, persistedMs }) => {
    const end = healedAt + persistedMs / 1000
    const wide = Math.max(Number(x(end)) - Number(x(struckAt)), 0.5).toFixed(1)
    const place = `x="${x(struckAt)}" y="${top}" width="${wide}" height="${height - bottom - top}"`
    return `<rect class="fault" ${place}/>`
  })
  return (
    '<figure><figcaption>transactions a second: acknowledged (blue), persisted (green); ' +
    'red: from a fault until everything went on</figcaption>' +
    `<svg viewBox="0 0 ${width} ${height}" ` +
    `role="img" aria-label="rates over time">${grid(most, until, x, y)}${marks.join('')}` +
    `${line('accepted', (one) => one.acknowledged)}${line('persisted', (one) => one.persisted)}` +
    '</svg></figure>'
  )
}

function grid(
  most: number,
  until: number,
  x: (at: number) => string,
  y: (rate: number) => string,
): string {
  const quarters = [0, 0.25, 0.5, 0.75, 1]
  const rows = quarters.map((part) => {
    const at = y(most * part)
    return (
      `<line class="grid" x1="${left}" x2="${width - 10}" y1="${at}" y2="${at}"/>` +
      `<text x="${left - 6}" y="${at}" text-anchor="end">${Math.round(most * part)}</text>`
    )
  })
  const columns = quarters.map((part) => {
    const anchor = part === 1 ? 'end' : 'middle'
    const label = `${Math.round(until * part)} s`
    return `<text x="${x(until * part)}" y="${height - 8}" text-anchor="${anchor}">${label}</text>`
  })
  return [...rows, ...columns].join('')
}

/** Means of neighbouring seconds, as rates a second. */
function thinned(samples: readonly Sample[]): Sample[] {
  const together = Math.ceil(samples.length / pointsMax)
  const points: Sample[] = []
  for (let i = 0; i + together <= samples.length; i += together) {
    const group = samples.slice(i, i + together)
    const from = samples[i - 1]?.at ?? 0
    const at = group.at(-1)?.at ?? 0
    const rate = (of: (sample: Sample) => number): number =>
      group.reduce((sum, sample) => sum + of(sample), 0) / Math.max(at - from, 0.001)
    points.push({
      at,
      acknowledged: rate((one) => one.acknowledged),
      persisted: rate((one) => one.persisted),
    })
  }
  return points
}
