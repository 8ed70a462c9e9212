// HTML from templates, with everything put into it escaped.
// In:  a template literal; texts, and HTML made the same way.
// Out: HTML.
// Absent: elements in particular.

export interface Html {
  readonly text: string
}

/** As it is: for text that is no HTML and must not be escaped, such as a style sheet. */
export function raw(text: string): Html {
  return { text }
}

export function html(parts: TemplateStringsArray, ...values: readonly unknown[]): Html {
  return { text: parts.map((part, i) => part + textOf(values[i])).join('') }
}

function textOf(value: unknown): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map(textOf).join('')
  if (typeof value === 'string') return escape(value)
  if (typeof value === 'object' && value !== null) return (value as Html).text
  return escape(JSON.stringify(value))
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
