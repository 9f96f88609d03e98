// The recordings of real hosts as data: cases of a generation, operation lists, spellings of paths. Read only.
import { readFileSync } from 'node:fs'
import type { HeaderList } from './raw-server.ts'

export type Generation = '10.1.5' | '5.2.0'

export interface RecordedCase {
  /** `catalog/reply-get` */
  readonly name: string
  readonly host: 'catalog' | 'orders'
  /** The request's exact bytes. */
  readonly request: string
  readonly method: string
  readonly target: string
  readonly requestHeaders: HeaderList
  /** Body as sent, framing included. */
  readonly requestBody: string
  readonly status: string
  readonly headers: HeaderList
  /**
   * Body as sent, framing included; undefined where only its size was kept (HTML pages). Five recordings were shortened after they were
   * taken (paths in a stack trace, pictures in an event stream): there the chunk sizes are put right again, or nobody could read them.
   */
  readonly body: Buffer | undefined
  readonly htmlBytes: number
  /** `timer`: the host left the connection open. */
  readonly ended: 'closed' | 'timer'
}

export interface Operation {
  readonly name: string
  readonly responseName?: string
  readonly serviceName: string
  readonly restrictTo?: readonly string[]
  readonly visibleTo?: readonly string[]
  readonly actions: readonly string[]
  readonly routes: readonly string[]
  readonly tags?: readonly string[]
}

const folder = new URL('../fixtures/recordings/', import.meta.url)
const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, folder), 'utf8'))

interface WireEntry {
  request: string
  status: string
  headers: string[]
  body: string | { base64: string } | { html: true, bytes: number }
  ended: 'closed' | 'timer'
}

const split = (line: string): [string, string] => {
  const at = line.indexOf(': ')
  return [line.slice(0, at), line.slice(at + 2)]
}

/** Chunk sizes that fit the data. */
function framed (body: Buffer, headers: readonly string[]): Buffer {
  if (!headers.includes('Transfer-Encoding: chunked') || fits(body)) return body
  const pieces = body.toString('latin1').split(/(?:^|\r\n)[0-9a-f]+\r\n/).slice(1)
  const ended = pieces.at(-1) === '\r\n'
  const data = (ended ? pieces.slice(0, -1) : pieces).map(piece => piece.replace(/\r\n$/, ''))
  return Buffer.from(data.map(piece => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('') + (ended ? '0\r\n\r\n' : ''), 'latin1')
}

function fits (body: Buffer): boolean {
  for (let at = 0; at < body.length;) {
    const data = body.indexOf('\r\n', at) + 2
    const end = data + Number.parseInt(body.toString('latin1', at, data), 16)
    if (body.toString('latin1', end, end + 2) !== '\r\n') return false
    at = end + 2
  }
  return true
}

/** Every case of wire.json or wire-5.2.json. */
export function recordedCases (generation: Generation): RecordedCase[] {
  const entries = read(generation === '10.1.5' ? 'wire.json' : 'wire-5.2.json') as Record<string, WireEntry>
  return Object.entries(entries).map(([name, entry]) => {
    const bodyAt = entry.request.indexOf('\r\n\r\n')
    const [requestLine, ...lines] = entry.request.slice(0, bodyAt).split('\r\n')
    const [method, target] = requestLine!.split(' ')
    return {
      name,
      host: name.startsWith('catalog/') ? 'catalog' : 'orders',
      request: entry.request,
      method: method!,
      target: target!,
      requestHeaders: lines.map(split),
      requestBody: entry.request.slice(bodyAt + 4),
      status: entry.status,
      headers: entry.headers.map(split),
      body: typeof entry.body === 'string' ? framed(Buffer.from(entry.body), entry.headers) : 'base64' in entry.body ? Buffer.from(entry.body.base64, 'base64') : undefined,
      htmlBytes: typeof entry.body === 'object' && 'html' in entry.body ? entry.body.bytes : 0,
      ended: entry.ended
    }
  })
}

export interface RecordedPath {
  readonly target: string
  readonly status: string
  /** The first 150 characters of the body, framing included. */
  readonly opening: string
}

/** Every spelling of paths.json, sent as GET to a Catalog host. */
export function recordedPaths (generation: Generation): RecordedPath[] {
  const paths = read('paths.json') as Record<string, Record<Generation, { status: string, body: string }>>
  return Object.entries(paths).map(([target, answers]) => ({ target, status: answers[generation].status, opening: answers[generation].body }))
}

/** The list a host publishes. No 5.2.0 list of Orders was recorded: there it is the newer one less what 5.2.0 lacks. */
export function recordedOperations (service: 'Catalog' | 'Orders', generation: Generation): Operation[] {
  if (generation === '10.1.5') return read(`operations-${service.toLowerCase()}.json`) as Operation[]
  const old = read('operations-catalog-5.2.json') as Operation[]
  if (service === 'Catalog') return old
  const own = (read('operations-orders.json') as Operation[]).filter(operation => operation.serviceName === 'OrderServices')
  const builtIn = old.filter(operation => operation.serviceName !== 'CatalogServices')
  return [...builtIn, ...own.map(({ tags: _, ...rest }) => rest)].sort((a, b) => a.name < b.name ? -1 : 1)
}

/** Ports the hosts of a recording had, to be replaced by a double's own. */
export const recordedAddress = {
  catalog: { '10.1.5': 'http://127.0.0.1:9101/', '5.2.0': 'http://127.0.0.1:9111/' },
  orders: { '10.1.5': 'http://127.0.0.1:9201/', '5.2.0': 'http://127.0.0.1:9211/' }
} as const
