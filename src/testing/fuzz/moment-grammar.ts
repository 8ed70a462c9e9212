// RFC 3339, read slowly and plainly: what query/moment.ts must agree with.
// In:  text.
// Out: the instant in UTC with microseconds, or undefined.
// Absent: Date.

const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const minutesOfDay = 24 * 60

interface Day {
  year: number
  month: number
  day: number
}

export function readMoment(text: string): string | undefined {
  const shape = text.replace(/[0-9]/g, '9').toUpperCase()
  if (text.length < 20 || shape.slice(0, 19) !== '9999-99-99T99:99:99') return undefined
  const fraction = shape[19] === '.' ? text.slice(20).split(/[^0-9]/)[0] : undefined
  if (fraction !== undefined && (fraction.length < 1 || fraction.length > 9)) return undefined
  const zone = text.slice(fraction === undefined ? 19 : 20 + fraction.length)
  const offset = offsetOf(zone)
  const [year, month, day] = [text.slice(0, 4), text.slice(5, 7), text.slice(8, 10)].map(Number)
  const [hour, minute, second] = [11, 14, 17].map((at) => Number(text.slice(at, at + 2)))
  if (offset === undefined || !isDay({ year, month, day })) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const minutes = hour * 60 + minute - offset
  const days = Math.floor(minutes / minutesOfDay)
  const utc = moved({ year, month, day }, days)
  const ofDay = minutes - days * minutesOfDay
  if (utc.year < 1 || utc.year > 9999) return undefined
  const date = [padded(utc.year, 4), padded(utc.month, 2), padded(utc.day, 2)].join('-')
  const time = [Math.floor(ofDay / 60), ofDay % 60, second].map((each) => padded(each, 2)).join(':')
  return `${date}T${time}.${(fraction ?? '').padEnd(6, '0').slice(0, 6)}Z`
}

/** In minutes. */
function offsetOf(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0
  if (!/^[-+][0-9][0-9]:[0-9][0-9]$/.test(zone)) return undefined
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4))]
  if (hours > 23 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month === 2 && isLeap ? 29 : daysOfMonth[month - 1]
}

function isDay({ year, month, day }: Day): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
}

/** By one day at most, either way. */
function moved({ year, month, day }: Day, days: number): Day {
  if (days > 0 && day === daysIn(year, month)) {
    return month === 12 ? { year: year + 1, month: 1, day: 1 } : { year, month: month + 1, day: 1 }
  }
  if (days < 0 && day === 1) {
    if (month === 1) return { year: year - 1, month: 12, day: 31 }
    return { year, month: month - 1, day: daysIn(year, month - 1) }
  }
  return { year, month, day: day + days }
}

function padded(value: number, width: number): string {
  return String(value).padStart(width, '0')
}
