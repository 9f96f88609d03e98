// The three formats the sample services speak: json, xml and jsv. Only what plain objects of texts and numbers need. Pure.

export type Dto = Readonly<Record<string, unknown>>

export interface Format {
  readonly contentType: string
  write (name: string, value: unknown): string
  /** Throws when the text is not of this format. */
  read (text: string): Dto
}

export const formats: Readonly<Record<string, Format>> = {
  json: {
    contentType: 'application/json; charset=utf-8',
    write: (_, value) => JSON.stringify(value),
    read: text => {
      const value: unknown = JSON.parse(text)
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not an object')
      return value as Dto
    }
  },
  xml: {
    contentType: 'application/xml',
    write: (name, value) => `<?xml version="1.0" encoding="utf-8"?>${toXml(name, value)}`,
    read: text => Object.fromEntries(Array.from(text.matchAll(/<([A-Za-z]\w*)>([^<]*)<\/\1>/g), ([, name, content]) => [name!, fromXml(content!)]))
  },
  jsv: {
    contentType: 'application/jsv',
    write: (_, value) => toJsv(value),
    read: text => Object.fromEntries(Array.from(text.trim().replace(/^\{|\}$/g, '').matchAll(/([A-Za-z]\w*):("(?:[^"]|"")*"|[^,]*)/g), ([, name, content]) => [name!, content!.replace(/^"|"$/g, '').replaceAll('""', '"')]))
  }
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const fromXml = (text: string) => Object.entries(entities).toReversed().reduce((plain, [char, entity]) => plain.replaceAll(entity, char), text)

function toXml (name: string, value: unknown): string {
  if (value === undefined || value === null) return ''
  const content = typeof value === 'object'
    ? (Array.isArray(value) ? value.map((item): [string, unknown] => ['Item', item]) : Object.entries(value)).map(([key, field]) => toXml(capital(key), field)).join('')
    : String(value as string | number | boolean).replace(/[&<>"]/g, char => entities[char]!)
  return `<${name}>${content}</${name}>`
}

const capital = (name: string) => name.slice(0, 1).toUpperCase() + name.slice(1)

function toJsv (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toJsv).join(',')}]`
  if (typeof value === 'object' && value !== null) return `{${Object.entries(value).filter(([, field]) => field !== undefined).map(([key, field]) => `${key}:${toJsv(field)}`).join(',')}}`
  const text = String(value as string | number | boolean)
  return /[",:{}[\]]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
