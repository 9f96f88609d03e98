// How a ServiceStack host fills a request DTO: from query, form or body, with what it ignores and forgives. Pure.
import type { RawRequest } from './raw-server.ts'
import type { Generation } from './recordings.ts'

export type Bound =
  | { readonly kind: 'dto', readonly dto: Record<string, unknown> }
  | { readonly kind: 'items', readonly items: Array<Record<string, unknown>> }
  /** 5.2.0: the body's length could not be told. */
  | { readonly kind: 'unreadable' }

const lower = (members: Iterable<readonly [string, unknown]>): Record<string, unknown> =>
  Object.fromEntries(Array.from(members, ([name, value]) => [name.toLowerCase(), value]))

/** Query keys and values of a target. */
export function queryOf (target: string): URLSearchParams {
  const at = target.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : target.slice(at + 1))
}

export function isForm (request: RawRequest): boolean {
  return /^application\/x-www-form-urlencoded/i.test(request.header('content-type') ?? '')
}

/** The verb the service is called with: an override in header, query or form field is obeyed. */
export function effectiveVerb (request: RawRequest, body: Buffer): string {
  const key = 'X-HTTP-Method-Override'
  const pick = (params: URLSearchParams) => Array.from(params).find(([name]) => name.toLowerCase() === key.toLowerCase())?.[1]
  const override = request.header(key) ?? pick(queryOf(request.target)) ?? (isForm(request) ? pick(new URLSearchParams(body.toString())) : undefined)
  return (override ?? request.method).toUpperCase()
}

/** Binds a request. A chunked body counts as empty (10.1.5) or cannot be read (5.2.0); JSON that is cut or wrong gives default values. */
export function bind (request: RawRequest, body: Buffer, verb: string, batch: boolean, generation: Generation): Bound {
  const query = lower(queryOf(request.target))
  const contentLength = request.chunked ? 0 : body.length
  const hasBody = contentLength > 0
  const fromQuery = ['GET', 'DELETE', 'OPTIONS', 'HEAD'].includes(verb) && !(hasBody && request.header('content-type') !== undefined)
  if (batch) {
    const items = hasBody ? parseJson(body) : []
    return { kind: 'items', items: Array.isArray(items) ? items.map(item => lower(Object.entries(Object(item) as object))) : [] }
  }
  if (fromQuery) return { kind: 'dto', dto: query }
  if (!hasBody && generation === '5.2.0' && !isForm(request)) return { kind: 'unreadable' }
  if (!hasBody) return { kind: 'dto', dto: generation === '10.1.5' ? query : {} }
  const fromBody = isForm(request)
    ? lower(new URLSearchParams(body.toString()))
    : /^multipart\/form-data/i.test(request.header('content-type') ?? '')
      ? multipart(request, body)
      : lower(Object.entries(Object(parseJson(body)) as object))
  return { kind: 'dto', dto: generation === '10.1.5' ? { ...query, ...fromBody } : fromBody }
}

function parseJson (body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return {} // Measured: malformed and cut JSON is read as an empty object, and answered with 200.
  }
}

function multipart (request: RawRequest, body: Buffer): Record<string, unknown> {
  const boundary = /boundary=("?)([^";]+)\1/i.exec(request.header('content-type')!)?.[2] ?? ''
  const fields = body.toString().split(`--${boundary}`).flatMap<[string, string]>(part => {
    const match = /name="([^"]*)"(?!; filename)[^\n]*\r\n(?:[^\r\n]+\r\n)*\r\n([\s\S]*)\r\n$/.exec(part)
    return match === null ? [] : [[match[1]!, match[2]!]]
  })
  return lower(fields)
}
