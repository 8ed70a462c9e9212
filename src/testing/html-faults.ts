// What is wrong with a page that this program writes.
// In:  HTML.
// Out: sentences: elements that do not nest, identifiers that come twice, links that lead nowhere,
//      whatever would be loaded from elsewhere.
// Absent: the rest of HTML, which the pages of this program do not use.

const voidElements = new Set(['br', 'hr', 'img', 'input', 'link', 'meta', '!doctype'])

export function faultsOfHtml(page: string): string[] {
  const faults: string[] = []
  if (!page.startsWith('<!doctype html>')) faults.push('does not begin with <!doctype html>')
  const open: string[] = []
  const identifiers = new Set<string>()
  const links: string[] = []
  const text = page.replace(/<style>[^<]*<\/style>/g, '')
  for (const [tag, closes = '', name = '', attributes = ''] of text.matchAll(
    /<(\/?)([!a-z][a-z0-9]*)([^<>]*)>/gi,
  )) {
    const element = name.toLowerCase()
    if (closes !== '') {
      const last = open.pop()
      if (last !== element) faults.push(`${tag} closes <${last ?? 'nothing'}>`)
    } else if (!voidElements.has(element)) {
      open.push(element)
    }
    for (const [, attribute = '', value = ''] of attributes.matchAll(/([a-z-]+)="([^"]*)"/gi)) {
      if (attribute === 'id' && identifiers.has(value)) faults.push(`id ${value} comes twice`)
      if (attribute === 'id') identifiers.add(value)
      if (attribute === 'href') links.push(value)
      if (attribute === 'src') faults.push(`${tag} loads something`)
    }
    if (['script', 'link', 'iframe', 'img'].includes(element)) faults.push(`${tag} loads something`)
  }
  if (open.length > 0) faults.push(`<${open.join('>, <')}> are not closed`)
  for (const link of links) {
    if (link.startsWith('#') && !identifiers.has(link.slice(1))) faults.push(`${link} is nowhere`)
    if (!/^[#/]/.test(link)) faults.push(`${link} leads elsewhere`)
  }
  if (/url\(|@import/.test(page)) faults.push('its style loads something')
  return faults
}
