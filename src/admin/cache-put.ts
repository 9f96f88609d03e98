// PUT /api/cache/entries: a service puts an answer into the cache itself, for a message whose clients never reach it.
import { STATUS_CODES } from 'node:http'
import type { Cache } from '../cache/cache.ts'
import { give, type GivenAnswer, type NotGiven } from '../cache/given.ts'
import { httpDate } from '../cache/http-date.ts'
import { longestTag, mostTags } from '../cache/tags.ts'
import { GatewayError } from '../exchange/errors.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { headerValue } from '../exchange/headers.ts'
import { ownGet, toOwnUrl, type OwnGetRules } from '../routing/own-get.ts'
import { ActionRefused, type AdminAction } from './actions.ts'
import { describeEntry } from './cache.ts'

/** Room for an answer of cache.maxEntryBytes (8 MB by default) in base64. */
const bodyBytes = 16_777_216
const mostHeaders = 200
const usage = '{"url": "https://api.example.com/json/reply/GetOrder?Id=5", "status": 200, "headers": {"Cache-Control": "max-age=60"}, "body": "…"}'
const wrong = (what: string): ActionRefused => new ActionRefused(400, 'AnswerUnclear', `${what} As in ${usage}; "bodyBase64" in place of "body" for bytes, "requestHeaders" for what Vary names.`)

export interface CachePut {
  readonly cache: Cache
  readonly gets: OwnGetRules
  /** Scheme and host of URLs that begin with a slash. */
  readonly base: () => string
}

export function cachePutAction (put: CachePut): AdminAction {
  return {
    method: 'PUT',
    path: '/api/cache/entries',
    says: 'Stores an answer as if a GET had brought it: {"url", "status", "headers", "body" or "bodyBase64", "requestHeaders"}. The URL is the clients\' own, host included.',
    bodyBytes,
    run: ({ body }) => {
      if (typeof body !== 'object' || body === null) throw wrong('An object is needed.')
      const fields = body as Record<string, unknown>
      const { exchange, url } = requestOf(fields, put)
      const given = give(put.cache, exchange, answerOf(fields))
      if ('refused' in given) throw new ActionRefused(409, 'NotStorable', `The answer is not stored: ${why[given.refused]}`)
      return { ...describeEntry(given.stored, Date.now()), url }
    }
  }
}

/** @throws ActionRefused */
function requestOf ({ url, requestHeaders }: Record<string, unknown>, put: CachePut): { readonly exchange: Exchange, readonly url: string } {
  if (typeof url !== 'string') throw wrong('"url" is needed.')
  const own = toOwnUrl(url, put.base())
  if (own === undefined) throw wrong(`"${url.slice(0, 200)}" is no URL of http or https, and no path that begins with a slash.`)
  try {
    return { exchange: ownGet(own, toHeaders('requestHeaders', requestHeaders), put.gets), url: `${own.scheme}://${own.authority}${own.target}` }
  } catch (error) {
    if (error instanceof GatewayError) throw new ActionRefused(error.spec.status === 404 ? 404 : 409, error.code, `A GET of this URL has no answer of a service: ${error.message}`)
    throw error
  }
}

/** @throws ActionRefused */
function answerOf ({ status = 200, headers, body, bodyBase64 }: Record<string, unknown>): GivenAnswer {
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) throw wrong('"status" is a number from 200 to 599.')
  if ((body === undefined) === (bodyBase64 === undefined)) throw wrong('Either "body" or "bodyBase64" is needed.')
  const text = body ?? bodyBase64
  if (typeof text !== 'string') throw wrong('The body is text.')
  if (body === undefined && !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw wrong('"bodyBase64" is no base64.')
  const list = toHeaders('headers', headers)
  if (headerValue(list, 'date') === undefined) list.push('Date', httpDate(Date.now()))
  return { status, reason: STATUS_CODES[status] ?? '', headers: list, body: Buffer.from(text, body === undefined ? 'base64' : 'utf8') }
}

/** What belongs to one connection, or says where a body ends: made by whoever sends it. */
const notGiven: ReadonlySet<string> = new Set(['connection', 'content-length', 'host', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/** @throws ActionRefused */
function toHeaders (field: string, value: unknown): string[] {
  if (value === undefined) return []
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(`"${field}" is an object of names and values.`)
  const list: string[] = []
  for (const [name, given] of Object.entries(value)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || notGiven.has(name.toLowerCase())) throw wrong(`"${field}": ${JSON.stringify(name.slice(0, 100))} cannot be given.`)
    for (const line of Array.isArray(given) ? given as unknown[] : [given]) {
      if (typeof line !== 'string' || !/^[\t\x20-\x7e\x80-\xff]*$/.test(line)) throw wrong(`"${field}": the value of ${name} is text, or a list of texts, of one line.`)
      list.push(name, line)
    }
  }
  if (list.length > mostHeaders * 2) throw wrong(`"${field}" has more than ${mostHeaders} lines.`)
  return list
}

const why: Record<NotGiven, string> = {
  'mode-off': 'cache.mode of the message is off.',
  split: 'the traffic of the message is split, and each part has answers of its own.',
  'too-large': 'it is larger than cache.maxEntryBytes.',
  'no-lifetime': 'it says no lifetime (Cache-Control: max-age), and postern.yaml has none for it.',
  stale: 'its lifetime is over already.',
  'no-store': 'it says no-store.',
  private: 'it says private.',
  'set-cookie': 'it sets a cookie.',
  identity: 'its request carries an identity, and it does not say public.',
  'too-many-tags': `it has more than ${mostTags} tags, or one of more than ${longestTag} letters.`,
  'vary-any': 'it says Vary: *.',
  'event-stream': 'it is an event stream.',
  'request-no-store': 'its request says no-store.',
  method: 'GET is not answered from the cache.',
  unsafe: 'the effect of the message is not safe.',
  status: 'its status is not stored.',
  partial: 'it is a part only.'
}
