// A GET of the gateway's own, as a client's that says nothing of itself: for what is put into the cache, or fetched without a client. No I/O.
import { randomBytes } from 'node:crypto'
import { effectOfCall } from '../exchange/effect.ts'
import { Exchange, type ClientRequest } from '../exchange/exchange.ts'
import { addForwarding } from '../exchange/forwarded.ts'
import { RequestHead, type HeaderRules } from '../exchange/headers.ts'
import { parseRequestTarget, type RequestTarget } from './request-target.ts'
import { formats, type Matched } from './table.ts'

/** As a client has it in its address bar. */
export interface OwnUrl {
  readonly scheme: 'http' | 'https'
  readonly authority: string
  /** Path and query. */
  readonly target: string
}

export interface OwnGetRules {
  readonly match: (target: RequestTarget, method: string) => Matched
  readonly correlationHeader: string
}

/** Neither loopback nor a private network: a host that answers callers nearby more than strangers takes it for a stranger. */
const nobodysAddress = '0.0.0.0'

/**
 * Path and query of a URL, with its scheme and host or those of `base` where it begins with a slash. Bytes stay as they are written: a
 * URL that is parsed and printed again may be another spelling. undefined: it is no URL of http or https.
 */
export function toOwnUrl (url: string, base: string): OwnUrl | undefined {
  const whole = /^(https?):\/\/([^/?#\s]+)(\/[^#\s]*)$/.exec(url.startsWith('/') ? `${base}${url}` : url)
  return whole === null ? undefined : { scheme: whole[1] as OwnUrl['scheme'], authority: whole[2]!, target: whole[3]! }
}

/**
 * `headers`: what tells this request from others, flat list.
 * @throws GatewayError what parsing and matching throw: BadRequestTarget, MessageNotFound, MethodNotAllowed, RoutesNotReady
 */
export function ownGet ({ scheme, authority, target }: OwnUrl, headers: readonly string[], { match, correlationHeader }: OwnGetRules): Exchange {
  const parsed = parseRequestTarget(target, formats)
  const { route, path, canonicalPath, single, effect, reached } = match(parsed, 'GET')
  const traceId = randomBytes(16).toString('hex')
  const request: ClientRequest = { method: 'GET', target, httpVersion: '1.1', scheme, authority, clientAddress: nobodysAddress, trusted: true, correlationId: traceId, traceId }
  const head = new RequestHead()
  head.headers = [...headers]
  addForwarding(head, {
    ...request,
    peer: '',
    receivedScheme: scheme,
    correlationId: traceId,
    traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`
  }, rulesOf(correlationHeader))
  return new Exchange(request, {
    method: 'GET',
    path,
    canonicalPath,
    headers: head.headers,
    body: { kind: 'none' },
    effect: effectOfCall(effect, 'GET', undefined, single),
    reached
  }, route, performance.now())
}

const rulesOf = (correlationHeader: string): HeaderRules => ({ correlationHeader, pseudonym: 'postern', timeoutHeader: '', methodOverride: 'remove', sessionHeaders: 'remove', debugKeys: 'remove' })
