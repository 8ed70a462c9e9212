// Lines over the seconds of a run, as inline SVG.
// In:  series of points, what to shade and to mark.
// Out: an SVG element.
// Absent: scripts, anything from outside the page.

import { ticksUpTo } from './axis.mjs'
import { escape, short } from './text.mjs'

const width = 760
const left = 56
const right = 14
const bottom = 26
const markLine = 13

/**
 * @param {object} chart
 * @param {string} chart.title what is drawn, with its unit
 * @param {{ name: string, kind: string, points: { at: number, value: number | undefined }[] }[]}
 *   chart.series a value that is undefined leaves a gap
 * @param {{ from: number, to: number }} [chart.window] shaded
 * @param {{ at: number, label: string }[]} [chart.marks] vertical lines
 * @param {{ label: string, value: number }} [chart.level] a horizontal line
 * @param {number} [chart.until] where the seconds end, so that several charts have the same ones
 */
export function lineChart(chart) {
  const { title, series, window, marks = [], level, until, height = 190 } = chart
  const all = series.flatMap(({ points }) => points).filter(({ value }) => value !== undefined)
  if (all.length === 0) return ''
  const seconds = until ?? Math.max(...all.map(({ at }) => at))
  const ticks = ticksUpTo(Math.max(...all.map(({ value }) => value), level?.value ?? 0))
  const top = 12 + markLine * markRows(marks)
  const x = (at) => left + (at / seconds) * (width - left - right)
  const y = (value) => height - bottom - (value / ticks.at(-1)) * (height - bottom - top)
  const frame = { x, y, top, height, seconds, ticks }
  const parts = [
    window ? shade(window, frame) : '',
    grid(frame),
    ...placeMarks(marks, frame),
    level ? levelLine(level, frame) : '',
    ...series.map((each) => line(each, frame)),
  ]
  const names = series.map(({ name }) => name).join(', ')
  return (
    `<figure><figcaption>${escape(title)} ${legend(series)}</figcaption>` +
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escape(`${title}: ${names}`)}">` +
    `${parts.join('')}</svg></figure>`
  )
}

function legend(series) {
  if (series.length < 2) return ''
  const items = series.map(({ name, kind }) => `<span class="key ${kind}">${escape(name)}</span>`)
  return `<span class="legend">${items.join('')}</span>`
}

function shade({ from, to }, { x, top, height }) {
  const rectangle = `x="${n(x(from))}" width="${n(x(to) - x(from))}"`
  return `<rect class="window" ${rectangle} y="${top}" height="${height - bottom - top}"/>`
}

function grid({ x, y, height, seconds, ticks }) {
  const rows = ticks.map(
    (tick) =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${n(y(tick))}" y2="${n(y(tick))}"/>` +
      `<text x="${left - 7}" y="${n(y(tick) + 3.5)}" text-anchor="end">${short(tick)}</text>`,
  )
  const columns = ticksUpTo(seconds)
    .filter((tick) => tick <= seconds)
    .map((tick, index, every) => {
      const unit = index === every.length - 1 ? ' s' : ''
      const at = `x="${n(x(tick))}" y="${height - 9}"`
      return `<text ${at} text-anchor="middle">${short(tick)}${unit}</text>`
    })
  return [...rows, ...columns].join('')
}

/** Labels take turns in two rows where there are several, so that they do not cover each other. */
function markRows(marks) {
  return Math.min(2, marks.length)
}

function placeMarks(marks, { x, height }) {
  return marks.map(({ at, label }, index) => {
    const row = 11 + markLine * (index % 2)
    const isLate = x(at) > width - 110
    const place = `x="${n(x(at) + (isLate ? -4 : 4))}" y="${row}"`
    return (
      `<line class="mark" x1="${n(x(at))}" x2="${n(x(at))}" y1="${row - 8}" y2="${height - bottom}"/>` +
      `<text class="marked" ${place} text-anchor="${isLate ? 'end' : 'start'}">${escape(label)}</text>`
    )
  })
}

function levelLine({ label, value }, { y }) {
  const at = n(y(value))
  return (
    `<line class="level" x1="${left}" x2="${width - right}" y1="${at}" y2="${at}"/>` +
    `<text class="levelled" x="${width - right}" y="${n(y(value) - 4)}" text-anchor="end">` +
    `${escape(label)}</text>`
  )
}

function line({ kind, points }, { x, y }) {
  let path = ''
  let isOpen = false
  for (const { at, value } of points) {
    if (value !== undefined) path += `${isOpen ? 'L' : 'M'}${n(x(at))} ${n(y(value))}`
    isOpen = value !== undefined
  }
  return `<path class="line ${kind}" d="${path}"/>`
}

function n(value) {
  return Number(value.toFixed(1))
}
