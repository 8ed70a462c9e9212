// Figures of several runs beside each other, as inline SVG: bars, stacked or not, and ranges of
// latencies.
// In:  rows of named values.
// Out: an SVG element.
// Absent: scripts, anything from outside the page.

import { decadesAround, ticksUpTo } from './axis.mjs'
import { escape, short } from './text.mjs'

const width = 760
const left = 150
const right = 70
const barHeight = 14
const rowGap = 12
const head = 8
const foot = 24

/**
 * @param {object} chart
 * @param {string} chart.title with its unit
 * @param {{ name: string, bars: { kind: string, parts?: { kind: string, value: number, name: string
 *   }[], value?: number, text: string }[] }[]} chart.rows
 * @param {[string, string][]} chart.legend kind and name
 * @param {{ label: string, value: number }} [chart.level] a vertical line
 */
export function barChart({ title, rows, legend, level }) {
  const bars = rows.flatMap((row) => row.bars)
  if (bars.length === 0) return ''
  const ticks = ticksUpTo(Math.max(...bars.map(totalOf), level?.value ?? 0))
  const x = (value) => left + (value / ticks.at(-1)) * (width - left - right)
  let y = head
  const drawn = rows.map(({ name, bars: own }) => {
    const middle = y + (own.length * barHeight) / 2 + 4
    const label = `<text x="${left - 9}" y="${n(middle)}" text-anchor="end">${escape(name)}</text>`
    const shapes = own.map((bar, index) => drawBar(bar, y + index * barHeight, x))
    y += own.length * barHeight + rowGap
    return label + shapes.join('')
  })
  const height = y - rowGap + foot
  return figure(title, legend, height, [
    axis(ticks, x, height),
    ...drawn,
    level ? levelLine(level, x, height) : '',
  ])
}

function totalOf({ value, parts }) {
  return parts ? parts.reduce((sum, part) => sum + part.value, 0) : value
}

function drawBar(bar, y, x) {
  let from = 0
  const parts = bar.parts ?? [{ kind: bar.kind, value: bar.value, name: '' }]
  const shapes = parts.map(({ kind, value, name }) => {
    const start = x(from)
    from += value
    const size = `x="${n(start)}" y="${n(y + 1)}" width="${n(Math.max(0, x(from) - start))}"`
    const tip = name ? `<title>${escape(`${name}: ${short(value)}`)}</title>` : ''
    return `<rect class="bar ${kind}" ${size} height="${barHeight - 2}">${tip}</rect>`
  })
  const text = `<text x="${n(x(from) + 6)}" y="${n(y + 11)}">${escape(bar.text)}</text>`
  return shapes.join('') + text
}

/** A row for each run: p50, p99 and p99.9 as dots on a line, by factors of ten. */
export function latencyChart({ title, rows, legend }) {
  const values = rows.flatMap(({ ranges }) => ranges.flatMap(({ points }) => points))
  const known = values.map(({ ms }) => ms).filter((ms) => ms > 0)
  if (known.length === 0) return ''
  const ticks = decadesAround(known)
  const [least, most] = [ticks[0], ticks.at(-1)].map(Math.log10)
  const x = (ms) =>
    left + ((Math.log10(ms) - least) / Math.max(1e-9, most - least)) * (width - left - right)
  let y = head
  const drawn = rows.map(({ name, ranges }) => {
    const middle = y + (ranges.length * barHeight) / 2 + 4
    const label = `<text x="${left - 9}" y="${n(middle)}" text-anchor="end">${escape(name)}</text>`
    const shapes = ranges.map(({ kind, points }, index) =>
      drawRange(
        kind,
        points.filter(({ ms }) => ms > 0),
        y + (index + 0.5) * barHeight,
        x,
      ),
    )
    y += ranges.length * barHeight + rowGap
    return label + shapes.join('')
  })
  const height = y - rowGap + foot
  return figure(title, legend, height, [axis(ticks, x, height, duration), ...drawn])
}

function drawRange(kind, points, y, x) {
  if (points.length === 0) return ''
  const line =
    `<line class="range ${kind}" x1="${n(x(points[0].ms))}" x2="${n(x(points.at(-1).ms))}" ` +
    `y1="${n(y)}" y2="${n(y)}"/>`
  const dots = points.map(({ name, ms }, index) => {
    const tip = `<title>${escape(`${name}: ${short(ms)} ms`)}</title>`
    return `<circle class="dot ${kind}" cx="${n(x(ms))}" cy="${n(y)}" r="${3 + index}">${tip}</circle>`
  })
  const last = points.at(-1)
  const text =
    `<text class="small" x="${n(x(last.ms) + 10)}" y="${n(y + 4)}">` +
    `${points.map(({ ms }) => short(ms)).join(' · ')}</text>`
  return line + dots.join('') + text
}

function duration(ms) {
  return ms >= 1000 ? `${short(ms / 1000)} s` : `${short(ms)} ms`
}

function axis(ticks, x, height, show = short) {
  return ticks
    .map((tick) => {
      const at = n(x(tick))
      return (
        `<line class="grid" x1="${at}" x2="${at}" y1="0" y2="${height - foot + 4}"/>` +
        `<text x="${at}" y="${height - 6}" text-anchor="middle">${show(tick)}</text>`
      )
    })
    .join('')
}

function levelLine({ label, value }, x, height) {
  const at = n(x(value))
  return (
    `<line class="level" x1="${at}" x2="${at}" y1="0" y2="${height - foot + 4}">` +
    `<title>${escape(label)}</title></line>`
  )
}

function figure(title, legend, height, parts) {
  const keys = legend.map(([kind, name]) => `<span class="key ${kind}">${escape(name)}</span>`)
  return (
    `<figure><figcaption>${escape(title)} <span class="legend">${keys.join('')}</span></figcaption>` +
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(title)}">` +
    `${parts.join('')}</svg></figure>`
  )
}

function n(value) {
  return Number(value.toFixed(1))
}
