// A ledger in a schema of another name, as it is while its tables are made anew.
// In:  SQL that says `ledger`, a URL that says which schema is meant.
// Out: SQL that says that schema.
// Absent: any cost for the ledger itself, whose URLs do not name a schema.

/*
 * SQL of this program names its schema everywhere, so that nothing depends on a search_path, which
 * would be state of a session. A URL may carry another name to every thread that connects with it.
 * What is translated is the way to PostgreSQL only: names of tables that come back are not.
 */

const parameter = 'ledger-schema'

/** `ledger` where it stands for the schema. */
const inText = new RegExp(
  [
    /\bledger(?=\.|'::regnamespace)/,
    /(?<=\bschemaname = ')ledger(?=')/,
    /(?<=\bSCHEMA (IF NOT EXISTS )?)ledger\b/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
)

/** The URL for those who are to work in a schema of this name. */
export function urlOfSchema(url: string, schema: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}${parameter}=${schema}`
}

/** The URL for the driver, and how to translate SQL for it. */
export function schemaOf(url: string): { url: string; translate: (<T>(text: T) => T) | undefined } {
  const [, schema] = new RegExp(`[?&]${parameter}=([a-z_]+)`).exec(url) ?? []
  if (schema === undefined) return { url, translate: undefined }
  const plain = url.replace(new RegExp(`[?&]${parameter}=${schema}`), '')
  return { url: plain, translate: (value) => translated(value, schema) }
}

/** Texts, and lists of them; any other value is as it was. */
function translated<T>(value: T, schema: string): T {
  if (typeof value === 'string') return value.replace(inText, schema) as T
  return Array.isArray(value) ? (value.map((one: unknown) => translated(one, schema)) as T) : value
}
