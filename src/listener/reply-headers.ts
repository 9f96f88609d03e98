// The service's response headers as the client gets them: Via and correlation id in, addresses of endpoints out. Pure.
import type { Rewrite, UpstreamResponse } from '../exchange/exchange.ts'
import { viaWith } from '../exchange/forwarded.ts'

export interface ReplyContext {
  /** Of the endpoint that answered: origin and base path. Undefined when none did. */
  readonly endpointUrl: string | undefined
  readonly endpointAt: (host: string, path: string) => string | undefined
  /** Of the client: what its own URL began with. */
  readonly scheme: string
  readonly authority: string
  readonly correlationHeader: string
  readonly correlationId: string
  readonly pseudonym: string
  readonly rewrite?: Rewrite | undefined
  /** What filters add. Flat list. */
  readonly added: readonly string[]
}

/** Headers for the client, and what the sender must know of them. */
export interface ReplyHeaders {
  readonly headers: string[]
  /** Index of Trailer's name in `headers`, or -1: it may only stay where trailers can follow. */
  readonly trailerAt: number
  readonly hasLength: boolean
  /** Status line and fields before `headers`, as they are written (`head-text.ts`). With `hasLength` the first of `headers` is in it already. */
  readonly text?: string | undefined
  /** Whether Date is in the text. */
  readonly hasDate?: boolean
}

/** Whether answers of this status have no content, whatever the service sends (RFC 9110 sections 15.3.5 and 15.3.6). */
export const isContentless = (status: number): boolean => status === 204 || status === 205

/**
 * `headers` are end-to-end already; the list is not changed. Order and letter case are kept, ours come last. A length stays where there may be
 * content, and of what is not sent for HEAD and 304 (RFC 9110 section 8.6).
 */
export function replyHeaders ({ status, headers }: Pick<UpstreamResponse, 'status' | 'headers'>, context: ReplyContext): ReplyHeaders {
  const out: string[] = []
  const { correlationHeader } = context
  let via: string | undefined
  let hasLength = false
  let trailerAt = -1
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    let value = headers[i + 1]!
    switch (name.length) {
      case 3:
        if (name.toLowerCase() === 'via') {
          via = via === undefined ? value : `${via}, ${value}`
          continue
        }
        break
      case 7:
        if (name.toLowerCase() === 'trailer') trailerAt = out.length
        break
      case 8:
        if (name.toLowerCase() === 'location') value = rewriteLocation(value, context)
        break
      case 14:
        if (name.toLowerCase() === 'content-length') {
          if (isContentless(status)) continue
          hasLength = true
        }
        break
      case 16:
        if (name.toLowerCase() === 'content-location') value = rewriteLocation(value, context)
    }
    // Services with the correlation plugin echo it themselves.
    if (name.length === correlationHeader.length && name.toLowerCase() === correlationHeader.toLowerCase()) continue
    out.push(name, value)
  }
  for (const text of context.added) out.push(text)
  out.push('Via', viaWith(via, '1.1', context.pseudonym), correlationHeader, context.correlationId)
  return { headers: out, trailerAt, hasLength }
}

/** `endpointAt`: the endpoint, if any, that serves this host and path, by its URL (origin and base path). */
type LocationContext = Pick<ReplyContext, 'endpointUrl' | 'endpointAt' | 'scheme' | 'authority' | 'rewrite'>

/**
 * A URL at an endpoint's address becomes the client's scheme and host plus the path without the base path; any other stays as it is.
 * ServiceStack hosts behind Consul always name their internal address (WebHostUrl), and may name that of another one.
 * Where the prefix that the client wrote was replaced on the way there, it is put back.
 */
export function rewriteLocation (value: string, { endpointUrl, endpointAt, scheme, authority, rewrite }: LocationContext): string {
  if (authority === '') return value
  const ownBase = endpointUrl === undefined ? null : URL.parse(endpointUrl)
  if (value.startsWith('/') && !value.startsWith('//')) {
    const path = ownBase === null ? undefined : below(value, ownBase.pathname)
    return path === undefined ? value : anchored(asWritten(rooted(path), rewrite))
  }
  const start = /^(?:https?:)?\/\/[^/?#]*/i.exec(value)?.[0]
  const location = start === undefined ? null : URL.parse(value, 'http://postern.invalid')
  if (start === undefined || location === null) return value
  // Bytes of path, query and fragment as they came: URL would normalise them.
  const rest = value.slice(start.length)
  const isOwn = ownBase !== null && location.host === ownBase.host
  const own = isOwn ? below(rest, ownBase.pathname) : undefined
  if (own !== undefined) return `${scheme}://${authority}${asWritten(rooted(own), rewrite)}`
  const otherUrl = endpointAt(location.host, location.pathname)
  const other = otherUrl === undefined ? null : URL.parse(otherUrl)
  if (!isOwn && other === null) return value
  return `${scheme}://${authority}${rooted((other === null ? undefined : below(rest, other.pathname)) ?? rest)}`
}

/** What follows the base path; undefined for a path that is not below it. */
function below (path: string, base: string): string | undefined {
  const basePath = base.endsWith('/') ? base.slice(0, -1) : base
  const isBelow = path.toLowerCase().startsWith(basePath.toLowerCase()) && /^(?:$|[/?#])/.test(path.slice(basePath.length))
  return isBelow ? path.slice(basePath.length) : undefined
}

/** The path as a client writes it; one that is not below what the prefix was replaced by stays. */
function asWritten (path: string, rewrite: Rewrite | undefined): string {
  const rest = rewrite === undefined ? undefined : below(path, rewrite.to)
  return rest === undefined ? path : rooted(rewrite!.prefix + (rest === '' || /^[/?#]/.test(rest) ? rest : `/${rest}`))
}

/** Two slashes in front would name a host (RFC 3986 section 4.2). */
const anchored = (path: string): string => path.startsWith('//') ? `/.${path}` : path

const rooted = (path: string): string => path.startsWith('/') ? path : `/${path}`
