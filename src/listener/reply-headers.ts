// The service's response headers as the client gets them: Via and correlation id in, addresses of endpoints out. Pure.
import { viaWith } from '../exchange/headers.ts'

export interface ReplyContext {
  /** Of the endpoint that answered: origin and base path. Undefined when none did. */
  readonly endpointUrl: string | undefined
  /** Of the client: what its own URL began with. */
  readonly scheme: string
  readonly authority: string
  readonly correlationHeader: string
  readonly correlationId: string
  readonly pseudonym: string
}

/** Headers for the client, and what the sender must know of them. */
export interface ReplyHeaders {
  readonly headers: string[]
  /** Index of Trailer's name in `headers`, or -1: it may only stay where trailers can follow. */
  readonly trailerAt: number
  readonly hasLength: boolean
}

/** `headers` are end-to-end already; the list is not changed. Order and letter case are kept, ours come last. */
export function replyHeaders (headers: readonly string[], context: ReplyContext): ReplyHeaders {
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
        if (name.toLowerCase() === 'content-length') hasLength = true
        break
      case 16:
        if (name.toLowerCase() === 'content-location') value = rewriteLocation(value, context)
    }
    // Services with the correlation plugin echo it themselves.
    if (name.length === correlationHeader.length && name.toLowerCase() === correlationHeader.toLowerCase()) continue
    out.push(name, value)
  }
  out.push('Via', viaWith(via, '1.1', context.pseudonym), correlationHeader, context.correlationId)
  return { headers: out, trailerAt, hasLength }
}

/**
 * A URL at the endpoint's own address becomes the client's scheme and host plus the path without the base path; any other stays as it is.
 * ServiceStack hosts behind Consul always name their internal address (WebHostUrl).
 */
export function rewriteLocation (value: string, { endpointUrl, scheme, authority }: Pick<ReplyContext, 'endpointUrl' | 'scheme' | 'authority'>): string {
  if (endpointUrl === undefined || authority === '') return value
  const relative = value.startsWith('/') && !value.startsWith('//')
  if (!relative && !/^https?:\/\//i.test(value)) return value
  const base = URL.parse(endpointUrl)
  const location = relative ? base : URL.parse(value)
  if (base === null || location === null || location.host !== base.host) return value
  // Bytes of path, query and fragment as they came: URL would normalise them.
  const rest = relative ? value : value.slice(/^https?:\/\/[^/?#]*/i.exec(value)![0].length)
  const basePath = base.pathname.endsWith('/') ? base.pathname.slice(0, -1) : base.pathname
  const below = rest.toLowerCase().startsWith(basePath.toLowerCase()) && /^(?:$|[/?#])/.test(rest.slice(basePath.length))
  const path = below ? rest.slice(basePath.length) : rest
  if (relative) return below && basePath !== '' ? rooted(path) : value
  return `${scheme}://${authority}${rooted(path)}`
}

const rooted = (path: string): string => path.startsWith('/') ? path : `/${path}`
