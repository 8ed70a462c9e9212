// The report as files.
// In:  a report, a directory.
// Out: one JSON file with everything; one HTML file to read.
// Absent: figures of its own.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { reportHtml } from './html.mjs'

/** @returns {string[]} the files */
export function writeReport(directory, report) {
  const stamp = report.startedAt.slice(0, 19).replaceAll(':', '-')
  const json = join(directory, `bench-${stamp}.json`)
  writeFileSync(json, `${JSON.stringify(report, undefined, 1)}\n`)
  const html = join(directory, `bench-${stamp}.html`)
  writeFileSync(html, reportHtml(report))
  return [json, html]
}
