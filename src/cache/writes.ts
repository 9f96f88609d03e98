// What a write makes wrong of what is stored: its own URL, what postern.yaml says its success invalidates, and the tags its answer names.
import type { Config, PolicyConfig } from '../config/schema.ts'
import type { Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { isEventStream } from '../exchange/headers.ts'
import { latin1 } from '../lib/latin1.ts'
import { ResponseBody } from '../exchange/response-body.ts'
import { ArrivingBody, type ArrivalRoom } from './arriving-body.ts'
import type { Cache } from './cache.ts'
import { invalidates, mayWrite } from './invalidation.ts'
import { shortDigest, targetIndex } from './key.ts'
import type { Selector } from './purge-log.ts'
import { tagsIn } from './tags.ts'

type Rule = PolicyConfig['cache']['invalidates'][number]

/** Bodies beyond that are not searched for a property: all answers of the other message go then. */
const longestSearched = 65_536
/** Values beyond that are no ids. */
const longestValue = 256

/** By which an answer of `message` to a request with this property is found: in lower case, and a GUID in one of its spellings; as a hash, for other gateways are told it. */
const ownTag = (message: string, property: string, value: string): string => `${message.toLowerCase()}?${property.toLowerCase()}=${value === anyValue ? anyValue : shortDigest(sameId(value.toLowerCase()))}`

const guid = /^[{(]?([\da-f]{8})-?([\da-f]{4})-?([\da-f]{4})-?([\da-f]{4})-?([\da-f]{12})[)}]?$/
const integer = /^([+-]?)0*(\d+)$/
/** Clients write a GUID with dashes; these hosts write it without in JSON. They read a number with a plus, zeros or blanks about it as they read it without. */
const sameId = (value: string): string => value.trim().replace(guid, '$1$2$3$4$5').replace(integer, (_, sign: string, digits: string) => sign === '-' ? `-${digits}` : digits)

/** Stands for a value that cannot be read: it is part of a RESTful path, or of a body that is neither a form nor JSON. Any may be meant. */
const anyValue = '*'

/** Properties of requests by which some write finds the answers of a message; messages and properties in lower case. */
export type Indexed = ReadonlyMap<string, ReadonlySet<string>>

export function indexedProperties ({ defaults, upstreams, messages, prefixes }: Config): Indexed {
  const indexed = new Map<string, Set<string>>()
  const named: Array<{ readonly policy?: { readonly cache?: { readonly invalidates?: readonly Rule[] } } }> = [defaults, ...Object.values(upstreams), ...Object.values(messages), ...Object.values(prefixes)]
  for (const { policy } of named) {
    for (const { message, property } of policy?.cache?.invalidates ?? []) {
      if (property === undefined) continue
      const key = message.toLowerCase()
      indexed.set(key, (indexed.get(key) ?? new Set()).add(property.toLowerCase()))
    }
  }
  return indexed
}

/** Tags of our own for an answer to this request. */
export function ownTags (exchange: Exchange, indexed: Indexed): readonly string[] {
  if (indexed.size === 0) return none
  const { route, upstreamRequest: { reached } } = exchange
  const tags: string[] = []
  let values: Values | undefined
  for (const { name } of [route, ...reached]) {
    const properties = indexed.get(name.toLowerCase())
    if (properties === undefined) continue
    values ??= requestValues(exchange)
    for (const property of properties) tags.push(ownTag(name, property, values.get(property) ?? anyValue))
  }
  return tags.length === 0 ? none : tags
}
const none: readonly string[] = []

/** What postern.yaml says of this call: of its route, and of what a path below a prefix leads to. */
function rulesOf ({ upstreamRequest: { reached } }: Exchange, { invalidates }: PolicyConfig['cache']): readonly Rule[] {
  return reached.length === 0 ? invalidates : [...invalidates, ...reached.flatMap(({ policy }) => policy.cache.invalidates)]
}

export interface Written {
  /** Of the call, as keys have it. */
  readonly target: string
  readonly cache: Pick<Cache, 'purge' | 'purgeLater' | 'targetsOf' | 'confirmed' | 'store'>
}

/** The answer reaches its client when nothing wrong is stored any more, here or at another gateway. @throws GatewayError ClientClosed */
export async function afterWrite (exchange: Exchange, response: UpstreamResponse, config: PolicyConfig['cache'], written: Written): Promise<UpstreamResponse> {
  const { cache } = written
  const since = cache.store.purges.count
  const searched = purgedAfter(exchange, response, config, written)
  const answer = searched instanceof Promise ? await searched : searched
  const confirmed = cache.confirmed(since)
  if (confirmed !== undefined) await confirmed
  if (exchange.ended?.code !== 'ClientClosed') return answer
  answer.body.cancel(exchange.ended)
  throw exchange.ended
}

function purgedAfter (exchange: Exchange, response: UpstreamResponse, config: PolicyConfig['cache'], { target, cache }: Written): UpstreamResponse | Promise<UpstreamResponse> {
  const { upstreamRequest: { method, effect, path }, request: { authority }, endpoint } = exchange
  const { status, headers } = response
  const { host, pathname } = endpoint === undefined ? { host: authority, pathname: '/' } : new URL(endpoint.url)
  const targets = invalidates({ method, safe: effect === 'safe', target: path, authorities: [authority, host], basePath: pathname === '/' ? '' : pathname }, status, headers)
  if (targets.length === 0) return response
  const purge = (selector: Selector): void => { cache.purge(selector, false, 'write') }
  const wrong = new Set([targetIndex(target)])
  for (const named of targets) if (named !== path) for (const stored of cache.targetsOf(named)) wrong.add(stored)
  for (const each of wrong) purge({ kind: 'target', target: each })
  for (const selector of namedBy(headers, config.purgeTagHeaders, exchange.upstream.name)) purge(selector)
  const rules = rulesOf(exchange, config)
  const ofRequest = rules.filter(rule => !asksResponse(rule))
  if (ofRequest.length > 0) {
    const values = requestValues(exchange)
    for (const rule of ofRequest) for (const selector of selectorsOf(rule, values)) purge(selector)
  }
  const ofResponse = rules.filter(asksResponse)
  return ofResponse.length === 0 ? response : withBodySearched(exchange, response, ofResponse, purge)
}

/**
 * A write that was sent, and of which nobody knows what became: its client left, or the service never answered. RFC 9111 section 4.4 asks
 * for answers that are no errors; to ask the service once more than needed is the lesser harm. It may still be at it, and what is read
 * meanwhile is what was there before: all of that goes once more after the time that such a call may take.
 */
export async function afterUnknown (exchange: Exchange, config: PolicyConfig['cache'], { target, cache }: Written): Promise<void> {
  const { upstreamRequest: { method, effect }, attempts } = exchange
  if (!mayWrite(method, effect === 'safe') || !attempts.some(({ sent }) => sent)) return
  const since = cache.store.purges.count
  const purge = (selector: Selector): void => {
    cache.purge(selector, false, 'write')
    cache.purgeLater(selector, exchange.route.policy.deadlineMs)
  }
  purge({ kind: 'target', target: targetIndex(target) })
  const rules = rulesOf(exchange, config)
  const values = rules.length === 0 ? noValues : requestValues(exchange)
  for (const rule of rules) for (const selector of selectorsOf(rule, asksResponse(rule) ? noValues : values)) purge(selector)
  await cache.confirmed(since)
}
/** By property, in lower case; undefined: it is there, but is not one plain value. */
type Values = ReadonlyMap<string, string | undefined>
const noValues: Values = new Map()

const asksResponse = ({ from }: Rule): boolean => from?.startsWith('response.') === true

/** Without the property, or where it is not found, everything of the message goes: rather too much than a write read stale. */
function selectorsOf ({ message, property, from }: Rule, values: Values): Selector[] {
  const value = property === undefined ? undefined : values.get((from === undefined ? property : from.slice(from.indexOf('.') + 1)).toLowerCase())
  if (property === undefined || value === undefined) return [{ kind: 'message', message }]
  return [value, anyValue].map(each => ({ kind: 'tag', tag: ownTag(message, property, each) }))
}

/** What is held back to be searched. */
const searchable: ArrivalRoom = { upTo: bytes => bytes <= longestSearched, downTo () {} }

/** Passed on when it was searched. */
function withBodySearched (exchange: Exchange, response: UpstreamResponse, rules: readonly Rule[], purge: (selector: Selector) => void): UpstreamResponse | Promise<UpstreamResponse> {
  const { promise: searched, resolve } = Promise.withResolvers<void>()
  let done = false
  const found = (bytes: Buffer | undefined) => {
    if (done) return
    done = true
    exchange.waiting(undefined)
    resolve()
    const values = bytes === undefined || bytes.length > longestSearched ? noValues : jsonValues(bytes)
    for (const rule of rules) for (const selector of selectorsOf(rule, values)) purge(selector)
  }
  exchange.waiting({ waitsFor: 'answer to be searched', cancel: () => found(undefined) })
  const whole = response.body.takeWhole()
  if (whole !== undefined) {
    const bytes = typeof whole === 'string' ? Buffer.from(whole, 'latin1') : whole
    found(bytes)
    return { ...response, body: ResponseBody.of(bytes) }
  }
  const arriving = new ArrivingBody(response.body, exchange.route.policy.bodyIdleTimeoutMs, searchable, {
    begun () {},
    whole: chunks => found(Buffer.concat(chunks)),
    notKept: () => found(undefined),
    failed: () => found(undefined)
  })
  const body = arriving.read()
  arriving.start()
  if (isEventStream(response.headers)) found(undefined)
  return searched.then(() => ({ ...response, body }))
}

/** Who names too many tags means everything. */
function namedBy (headers: readonly string[], names: readonly string[], service: string): Selector[] {
  const tags = tagsIn(headers, names.map(name => name.toLowerCase()))
  return tags === undefined ? [{ kind: 'service', service }] : tags.map(tag => ({ kind: 'tag', tag }))
}

/** Plain properties of a request, as its host would read them: the query, over them those of a form or a JSON body. Names in lower case. */
function requestValues ({ upstreamRequest: { path, body } }: Exchange): Values {
  const query = path.indexOf('?')
  const values = query === -1 ? new Map<string, string | undefined>() : pairs(path.slice(query + 1))
  if (body.kind !== 'held' || body.bytes.length > longestSearched) return values
  const first = body.bytes[0]
  for (const [name, value] of first === 0x7b ? jsonValues(body.bytes) : pairs(latin1(body.bytes))) values.set(name, value)
  return values
}

function pairs (text: string): Map<string, string | undefined> {
  const values = new Map<string, string | undefined>()
  for (const [name, value] of new URLSearchParams(text)) {
    const key = name.toLowerCase()
    values.set(key, values.has(key) || isList.test(value) || value.length > longestValue ? undefined : value)
  }
  return values
}
/** As these hosts read one from a query: `1,2`, or `[1]`. A text with a comma is taken for one too, which purges more. */
const isList = /,|^\s*\[/

/** Plain properties at the top of a JSON object; none where it is no such thing. */
function jsonValues (bytes: Buffer): Values {
  const values = new Map<string, string | undefined>()
  let parsed: unknown
  try {
    parsed = parseExactly(bytes.toString(), exact)
  } catch {
    // Not JSON: nothing can be found in it, and the whole message is purged.
    return values
  }
  if (typeof parsed !== 'object' || parsed === null) return values
  for (const [name, value] of Object.entries(parsed)) {
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    values.set(name.toLowerCase(), isPlain && String(value).length <= longestValue ? String(value) : undefined)
  }
  return values
}

/** As of ECMAScript 2025; TypeScript's own declaration lacks the context. */
const parseExactly = JSON.parse as (text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown) => unknown
/** Ids of 64 bits are more than a number holds: such a one is taken as it is written. */
const exact = (_: string, value: unknown, { source }: { readonly source?: string }): unknown => typeof value === 'number' && !Number.isSafeInteger(value) ? source : value
