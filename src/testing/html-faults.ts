// What is wrong with a page that this program writes.
// In:  HTML.
// Out: sentences: elements that do not nest, identifiers that come twice, links that lead nowhere,
//      whatever would be loaded from elsewhere.
// Absent: the rest of HTML, which the pages of this program do not use.

const voidElements = new Set(['br', 'hr', 'img', 'input', 'link', 'meta', '!doctype'])

export function faultsOfHtml(page: string): string[] {
  const faults = page.startsWith('<!doctype html>') ? [] : ['does not begin with <!doctype html>']
  if (/url\(|@import/.test(page)) faults.push('its style loads something')
  const text = page.replace(/<style>[^<]*<\/style>/g, '')
  return [...faults, ...nestingFaults(text), ...attributeFaults(text)]
}

const tags = /<(\/?)([!a-z][a-z0-9]*)([^<>]*)>/gi

function nestingFaults(text: string): string[] {
  const faults: string[] = []
  const open: string[] = []
  for (const [tag, closes = '', name = ''] of text.matchAll(tags)) {
    const element = name.toLowerCase()
    if (['script', 'link', 'iframe', 'img'].includes(element)) faults.push(`${tag} loads something`)
    if (closes !== '') {
      const last = open.pop()
      if (last !== element) faults.push(`${tag} closes <${last ?? 'nothing'}>`)
    } else if (!voidElements.has(element)) {
      open.push(element)
    }
  }
  if (open.length > 0) faults.push(`<${open.join('>, <')}> are not closed`)
  return faults
}

function attributeFaults(text: string): string[] {
  const attributes = [...text.matchAll(tags)].flatMap(([, , , inside = '']) =>
    [...inside.matchAll(/([a-z-]+)="([^"]*)"/gi)].map(([, name = '', value = '']) => [name, value]),
  )
  const valuesOf = (wanted: string): string[] =>
    attributes.filter(([name]) => name === wanted).map(([, value]) => value)
  const identifiers = valuesOf('id')
  const links = valuesOf('href')
  return [
    ...identifiers.filter((id, i) => identifiers.indexOf(id) !== i).map((id) => `id ${id} twice`),
    ...links
      .filter((link) => link.startsWith('#') && !identifiers.includes(link.slice(1)))
      .map((link) => `${link} is nowhere`),
    ...links.filter((link) => !/^[#/]/.test(link)).map((link) => `${link} leads elsewhere`),
    ...valuesOf('src').map((source) => `${source} is loaded`),
  ]
}
