// What a run under overload has shown, in a sentence.
// In:  its figures.
// Out: text for the terminal and the report.
// Absent: measuring it (scenarios/overload.mjs).

import { milliseconds, perSecond, ratio } from './format.mjs'

export function overloadText({ peak, goodput, ofPeak, refused, acknowledgedP99 }) {
  return (
    `persisted ${perSecond(goodput)} under overload, ${ratio(ofPeak)} of the peak of ` +
    `${perSecond(peak)}; ${refused.count} refused with 503, p50 ${milliseconds(refused.p50)}, ` +
    `p99 ${milliseconds(refused.p99)}; acknowledged p99 ${milliseconds(acknowledgedP99)}`
  )
}
