// What a client gets from a stored or arriving answer: whole, a part, or that it has not changed; with Age and Cache-Status.
import { GatewayError } from '../exchange/errors.ts'
import type { Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { ResponseBody } from '../exchange/response-body.ts'
import { cacheName, cacheStatus, type CacheResult } from './cache-status.ts'
import { answerFor, notModifiedHeaders } from './conditional.ts'
import type { EntryHead } from './entry.ts'
import { bornAt } from './freshness.ts'
import { guarded, saysNothing, headersAt, type GuardRules, type Leaving, type Source } from './guard.ts'
import { contentRange, unsatisfiedRange, type ByteRange } from './range.ts'
import { wholeHeaders, type Ready } from './ready-heads.ts'
import type { CacheRequest } from './request.ts'
import type { Draft, Stored } from './stored.ts'

/** Why a stale answer was given out, or another word that RFC 9211 has none for. */
export type Detail = 'stale-while-revalidate' | 'stale-if-error' | 'outage-copy' | 'not-filled' | 'only-if-cached' | 'second-level'

/** A hit. `detail`: what made it a stale one. */
export function fromStored (exchange: Exchange, request: CacheRequest, stored: Stored, { headers, ttlS, shared }: Ready, detail?: Detail): UpstreamResponse {
  exchange.addedHeaders = detail === undefined ? shared.added : ['Cache-Status', cacheStatus(cacheName, { hit: true, ttlS, detail })]
  if (request.method !== 'GET' || request.conditions !== undefined || request.range !== undefined) return answered(request, stored, headers, stored.body)
  const { body, head: { status, reason }, endpointUrl } = stored
  return { status, reason, headers, body: asBody(body), endpointUrl, shared }
}

/** An answer that was asked for, and is whole. `own`: fields that are for the one who asked and nobody else. */
export function fromOrigin (exchange: Exchange, request: CacheRequest, stored: Stored, own: readonly string[], result: CacheResult): UpstreamResponse {
  exchange.addedHeaders = ['Cache-Status', cacheStatus(cacheName, result)]
  return answered(request, stored, [...wholeHeaders(stored, Date.now(), sourceOf(result)), ...own], stored.body)
}

interface Arriving { readonly draft: Draft, readonly body: ResponseBody, readonly own: readonly string[] }

/** An answer whose body is still coming. */
export function fromArriving (exchange: Exchange, request: CacheRequest, { draft, body, own }: Arriving, result: CacheResult): UpstreamResponse {
  exchange.addedHeaders = ['Cache-Status', cacheStatus(cacheName, result)]
  const headers = [...headersAt(draft.leaving, draft.terms.bornAtMs, Date.now(), draft.guard, sourceOf(result)), ...own]
  const { status, reason } = draft.head
  if (answerFor(request, draft.head, undefined).kind === 'whole') return { status, reason, headers, body, endpointUrl: draft.endpointUrl }
  body.cancel(new GatewayError('ClientClosed'))
  return { status: 304, reason: 'Not Modified', headers: notModifiedHeaders(headers), body: ResponseBody.of(nothing), endpointUrl: draft.endpointUrl }
}

/** Unless it is a 304 to a request that carried no condition (`may304`): whoever has nothing would take it for an error. @throws GatewayError BadAnswer */
export function meaningful (response: UpstreamResponse, may304: boolean): UpstreamResponse {
  if (response.status !== 304 || may304) return response
  response.body.cancel(new GatewayError('ClientClosed'))
  throw new GatewayError('BadAnswer', { detail: { status: 304 } })
}

/** An answer that is not stored: as it came, but for what must not leave. `alarm`: what an operator should hear. */
export function passedOn (exchange: Exchange, response: UpstreamResponse, guard: GuardRules, result: CacheResult, alarm: (leaving: Leaving) => void): UpstreamResponse {
  const { status, reason, headers } = response
  exchange.addedHeaders = ['Cache-Status', cacheStatus(cacheName, result)]
  if (saysNothing(response, guard)) return response
  const nowMs = Date.now()
  const head: EntryHead = { status, reason, headers, requestAtMs: nowMs, responseAtMs: nowMs }
  const bornAtMs = bornAt(head)
  const { method } = exchange.upstreamRequest
  const leaving = guarded(head, nowMs, guard, method === 'GET' || method === 'HEAD')
  if (leaving.alarms.length > 0) alarm(leaving)
  if (!leaving.cut && !leaving.unsaid && leaving.headers === headers) return response
  return { status, reason, headers: headersAt(leaving, bornAtMs, nowMs, guard, 'passing'), body: response.body }
}

const nothing = Buffer.alloc(0)
/** Whoever did not ask himself gets what is stored as far as he can see: its Age tells how old it is (RFC 9111 section 4). */
const sourceOf = (result: CacheResult): Source => !result.hit && result.collapsed === true ? 'stored' : 'storing'

function answered (request: CacheRequest, { head, endpointUrl }: Draft, headers: readonly string[], body: string | Buffer): UpstreamResponse {
  const { status, reason } = head
  const answer = answerFor(request, head, body.length)
  switch (answer.kind) {
    case 'whole': return { status, reason, headers, body: asBody(body), endpointUrl }
    case 'not-modified': return { status: 304, reason: 'Not Modified', headers: notModifiedHeaders(headers), body: ResponseBody.of(nothing), endpointUrl }
    case 'part': return { status: 206, reason: 'Partial Content', headers: partHeaders(headers, answer.range), body: asBody(partOf(body, answer.range)), endpointUrl }
    case 'unsatisfiable': return { status: 416, reason: 'Range Not Satisfiable', headers: ['Content-Range', unsatisfiedRange(body.length), 'Content-Length', '0'], body: ResponseBody.of(nothing), endpointUrl }
  }
}

const asBody = (body: string | Buffer): ResponseBody => typeof body === 'string' ? ResponseBody.ofText(body) : ResponseBody.of(body)
const partOf = (body: string | Buffer, { first, last }: ByteRange): string | Buffer => typeof body === 'string' ? body.slice(first, last + 1) : body.subarray(first, last + 1)

const ofPart: ReadonlySet<string> = new Set(['content-length', 'content-range'])

function partHeaders (headers: readonly string[], range: ByteRange): string[] {
  const part: string[] = []
  for (let i = 0; i < headers.length; i += 2) if (!ofPart.has(headers[i]!.toLowerCase())) part.push(headers[i]!, headers[i + 1]!)
  part.push('Content-Length', String(range.last - range.first + 1), 'Content-Range', contentRange(range))
  return part
}
