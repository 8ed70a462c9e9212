// Figures as a person reads them.
// In:  numbers; undefined for what is not known.
// Out: text; a dash for what is not known.
// Absent: layout.

const unknown = '–'

function known(value, text) {
  return value === undefined || value === null || Number.isNaN(value) ? unknown : text(value)
}

export function count(value) {
  return known(value, (n) => Math.round(n).toLocaleString('en'))
}

export function perSecond(value) {
  return known(value, (n) => `${count(n)}/s`)
}

/** Three significant digits. */
export function milliseconds(value) {
  return known(value, (ms) => `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms`)
}

export function seconds(value) {
  return known(value, (s) => `${s.toFixed(2)} s`)
}

export function microseconds(value) {
  return known(value, (us) => `${us.toFixed(2)} µs`)
}

export function mebibytes(bytes) {
  return known(bytes, (n) => `${count(n / 2 ** 20)} MiB`)
}

export function bytesEach(value) {
  return known(value, (n) => `${n.toFixed(0)} B`)
}

export function ratio(value) {
  return known(value, (n) => n.toFixed(2))
}
