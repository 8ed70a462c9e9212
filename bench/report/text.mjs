// Text made safe for HTML, and figures short enough for an axis.
// In:  anything.
// Out: text.
// Absent: layout.

const special = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

export function escape(text) {
  return String(text).replace(/[&<>"']/g, (character) => special[character])
}

/** 1500000 as 1.5M. */
export function short(value) {
  if (value === undefined) return '–'
  const size = Math.abs(value)
  const trim = (text) => text.replace(/\.0+$|(\.\d*?)0+$/, '$1')
  if (size >= 1e9) return `${trim((value / 1e9).toFixed(2))}G`
  if (size >= 1e6) return `${trim((value / 1e6).toFixed(2))}M`
  if (size >= 1e3) return `${trim((value / 1e3).toFixed(1))}k`
  return trim(value.toFixed(size >= 100 ? 0 : size >= 1 ? 1 : 2))
}
