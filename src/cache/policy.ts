// Whether an answer may be stored and on which terms; whether a stored one may be given to a request (RFC 9111 sections 3 and 4). Pure.
import { isEventStream } from '../exchange/headers.ts'
import { validatorHeaders } from './conditional.ts'
import { nothingSaid, parseDirectives, responseDirectives, targetedDirectives, type Directive, type ResponseDirectives } from './directives.ts'
import type { Entry, EntryHead, Forwarded, NotStored, StoreDecision, Terms } from './entry.ts'
import { combined, fieldValues } from './field-syntax.ts'
import type { NotKept } from './fill-result.ts'
import { bornAt, currentAgeS, heuristicLifetimeMs, statedLifetimeMs } from './freshness.ts'
import type { CacheRequest } from './request.ts'
import type { CacheConfig, CacheRules } from './rules.ts'
import { parseTargeted } from './structured-fields.ts'
import { tagsIn } from './tags.ts'
import { varyNames } from './vary.ts'

/** What an answer says of its caching, to a cache like this one. */
export interface Said {
  readonly directives: ResponseDirectives
  /** The field it was said in: a targeted one puts Cache-Control and Expires aside (RFC 9213 section 2.2). */
  readonly targeted: boolean
}

export function saidBy (headers: readonly string[]): Said {
  const targeted = combined(headers, 'cdn-cache-control')
  const dictionary = targeted === undefined ? undefined : parseTargeted(targeted)
  const own = targeted === undefined ? none : targetedDirectives(targeted, dictionary)
  if (dictionary !== undefined && dictionary.length > 0) return { directives: responseDirectives(own), targeted: true }
  const lines = fieldValues(headers, 'cache-control')
  return { directives: lines.length + own.length === 0 ? nothingSaid : responseDirectives([...own, ...lines.flatMap(parseDirectives)]), targeted: false }
}
const none: readonly Directive[] = []

/** Final statuses whose meaning for caching is known here (must-understand, RFC 9111 section 5.2.2.3). 206 needs more than we do. */
const understood: ReadonlySet<number> = new Set([
  200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 511
])

const no = (reason: NotStored, hitForMiss: boolean): StoreDecision => ({ store: false, reason, hitForMiss })
const never = {
  method: no('method', true),
  unsafe: no('unsafe', true),
  requestNoStore: no('request-no-store', false),
  status: no('status', false),
  partial: no('partial', false),
  eventStream: no('event-stream', true),
  noStore: no('no-store', true),
  private: no('private', true),
  setCookie: no('set-cookie', true),
  identity: no('identity', true),
  varyAny: no('vary-any', true),
  tags: no('too-many-tags', true),
  noLifetime: no('no-lifetime', true),
  stale: no('stale', true)
}

/** RFC 9111 section 3, and decisions 5.1. */
export function mayStore (request: CacheRequest, head: EntryHead, rules: CacheRules): StoreDecision {
  const { config } = rules
  const { status, headers } = head
  if (!rules.methods.has(request.method) || request.method === 'HEAD') return never.method
  if (!request.safe) return never.unsafe
  if (request.directives.noStore) return never.requestNoStore
  if (status < 200 || status === 304) return never.status
  if (status === 206) return never.partial
  if (isEventStream(headers)) return never.eventStream
  const { directives, targeted } = saidBy(headers)
  const { sMaxAgeS } = directives
  if (directives.mustUnderstand && !understood.has(status)) return never.status
  // RFC 9111 section 5.2.2.3: no-store is for caches that do not know must-understand.
  if (directives.noStore && !directives.mustUnderstand) return never.noStore
  if (directives.private === true) return never.private
  const omit = omitted(directives, config.setCookie !== 'store')
  if (config.setCookie === 'pass' && setsCookie(headers, directives)) return never.setCookie
  const forIdentified = config.identity.mode === 'shared' || directives.public || typeof sMaxAgeS === 'number'
  if (request.identity !== '' && !forIdentified && config.identity.mode !== 'perIdentity') return never.identity
  const vary = varyNames(headers, config.normalizeAccept && request.routeKind === 'message')
  if (vary === undefined) return never.varyAny
  // One that is left out could not be purged by.
  const tags = tagsIn(headers, rules.tagHeaders)
  if (tags === undefined) return never.tags
  const lifetimeMs = lifetimeFor(request, head, directives, targeted, rules)
  if (lifetimeMs === undefined) return never.noLifetime
  const bornAtMs = bornAt(head)
  // An object that is made in one piece takes less.
  const { mustRevalidate, staleWhileRevalidateMs, staleIfErrorMs } = stalePeriods(directives, rules)
  const terms: Terms = {
    bornAtMs,
    freshUntilMs: Math.min(bornAtMs + lifetimeMs, head.responseAtMs + config.guard.maxStoredMs),
    staleWhileRevalidateMs,
    staleIfErrorMs,
    mustRevalidate,
    validateAlways: directives.noCache === true && config.mode !== 'override',
    immutable: directives.immutable,
    forIdentified,
    vary,
    omit,
    tags
  }
  return isUseful(terms, request, head) ? { store: true, terms } : never.stale
}

/** Until when an answer may be given out with nobody to ask. Since the epoch; 0 = not at all. */
export const usableUntil = ({ validateAlways, freshUntilMs, staleWhileRevalidateMs, staleIfErrorMs }: Terms): number =>
  validateAlways ? 0 : freshUntilMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs)

/** Something that is stale already is kept only to be validated, or to be given out stale. */
function isUseful (terms: Terms, request: CacheRequest, head: EntryHead): boolean {
  const { responseAtMs } = head
  if (terms.freshUntilMs > responseAtMs && !terms.validateAlways) return true
  return usableUntil(terms) > responseAtMs || (request.method === 'GET' && validatorHeaders(head).length > 0)
}

function lifetimeFor (request: CacheRequest, head: EntryHead, directives: ResponseDirectives, targeted: boolean, { config, ownLifetimes }: CacheRules): number | undefined {
  const own = ownLifetimes.get(head.status)
  if (config.mode === 'override') return own
  const stated = statedLifetimeMs(head, directives, !targeted) ?? own
  if (stated !== undefined || request.method !== 'GET') return stated
  const mayGuess = config.heuristic === 'always' || (config.heuristic === 'prefixes' && request.routeKind === 'prefix')
  const guessed = mayGuess ? heuristicLifetimeMs(head, directives, config.heuristicMaxMs) : undefined
  // Said to be kept, although only to be validated.
  return guessed ?? (directives.noCache === true ? 0 : undefined)
}

/** RFC 5861, and RFC 9111 section 4.2.4: what the origin forbids nobody allows; what it does not say, the operator may. */
function stalePeriods (directives: ResponseDirectives, { config: { stale, mode } }: CacheRules): Pick<Terms, 'staleWhileRevalidateMs' | 'staleIfErrorMs' | 'mustRevalidate'> {
  const mustRevalidate = mode !== 'override' && (directives.mustRevalidate || directives.proxyRevalidate || directives.sMaxAgeS !== undefined)
  // s-maxage alone forbids stale answers (RFC 9111 section 5.2.2.10); beside a period of the origin's own, that is the more exact word.
  const forbidden = mode !== 'override' && (directives.mustRevalidate || directives.proxyRevalidate)
  const period = (seconds: ResponseDirectives['staleIfErrorS'], byDefaultMs: number) => {
    if (forbidden || directives.noCache === true) return 0
    if (seconds !== undefined && mode !== 'override') return seconds === 'unreadable' ? 0 : Math.min(seconds * 1_000, stale.maxMs)
    return mustRevalidate ? 0 : byDefaultMs
  }
  return { mustRevalidate, staleWhileRevalidateMs: period(directives.staleWhileRevalidateS, stale.whileRevalidateMs), staleIfErrorMs: period(directives.staleIfErrorS, stale.ifErrorMs) }
}

/** RFC 9111 section 3.1. */
export const neverStored: readonly string[] = ['proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'trailer']
/** Of one client mostly. */
export const cookies: readonly string[] = ['set-cookie', 'set-cookie2']
const omittedMostly: readonly string[] = [...neverStored, ...cookies]

/** Fields that qualified private and no-cache name are not stored: the first are for one client, the others would have to be asked for each time. */
function omitted ({ private: ofOne, noCache }: ResponseDirectives, withoutCookies: boolean): readonly string[] {
  const always = withoutCookies ? omittedMostly : neverStored
  const qualified = [...typeof ofOne === 'object' ? ofOne : [], ...typeof noCache === 'object' ? noCache : []]
  return qualified.length === 0 ? always : [...always, ...qualified]
}

/** A cookie that the origin itself keeps out of caches (no-cache="Set-Cookie") does not stand in the way. */
function setsCookie (headers: readonly string[], { private: ofOne, noCache }: ResponseDirectives): boolean {
  const isNamed = (fields: ResponseDirectives['private']) => typeof fields === 'object' && fields.includes('set-cookie')
  return fieldValues(headers, 'set-cookie').length > 0 && !isNamed(ofOne) && !isNamed(noCache)
}

/** What to do with a request, given what is stored for it. */
export type Reuse =
  /** Give the stored answer. `refresh`: and ask the origin behind the client's back (stale-while-revalidate). */
  | { readonly use: 'stored', readonly stale: boolean, readonly refresh: boolean }
  /** Ask the origin; with the stored answer's validators where there is one, unless `validate` says it is not this request's. */
  | { readonly use: 'origin', readonly why: Forwarded, readonly validate: boolean }
  /** 504: the client wants nothing but a stored answer (RFC 9111 section 5.2.1.7). */
  | { readonly use: 'nothing', readonly why: Forwarded }

const given = {
  fresh: { use: 'stored', stale: false, refresh: false },
  stale: { use: 'stored', stale: true, refresh: false },
  refreshing: { use: 'stored', stale: true, refresh: true }
} as const satisfies Record<string, Reuse>
const ask = (why: Forwarded, validate: boolean): { readonly origin: Reuse, readonly nothing: Reuse } =>
  ({ origin: { use: 'origin', why, validate }, nothing: { use: 'nothing', why } })
const asks = {
  method: ask('method', false),
  bypass: ask('bypass', false),
  uriMiss: ask('uri-miss', false),
  varyMiss: ask('vary-miss', false),
  request: ask('request', true),
  otherIdentity: ask('request', false),
  stale: ask('stale', true)
}

/** Whether this request has anything to do with the cache at all: asked before a key is made. undefined = it has. */
export function passesBy (request: CacheRequest, rules: CacheRules): Reuse | undefined {
  if (!request.safe || !rules.methods.has(request.method)) return asks.method.origin
  if (request.conditions?.originOnly === true) return asks.bypass.origin
  return undefined
}

/** Whether the origin is hidden from what passes the cache by, too: it reads, but nobody else could answer it (a GET with If-Match, or with a body). */
export const isHidden = ({ safe, method }: CacheRequest, { methods }: CacheRules, hiding: CacheConfig['hideOrigin']): boolean =>
  hiding !== 'no' && safe && methods.has(method)

/** Whether the origin is hidden of what is called; by a path below a prefix too, where one of the messages it leads to (`reached`) says so. */
export function hidingOf ({ mode, hideOrigin }: CacheConfig, reached: ReadonlyArray<{ readonly policy: { readonly cache: CacheConfig } }>): CacheConfig['hideOrigin'] {
  if (mode !== 'off' && hideOrigin !== 'no') return hideOrigin
  return reached.length === 0 ? 'no' : reached.map(({ policy: { cache } }) => hidingOf(cache, [])).find(hiding => hiding !== 'no') ?? 'no'
}

/** `missed`: what was not found, where there is no entry. */
export function reuse (request: CacheRequest, entry: Entry | undefined, nowMs: number, rules: CacheRules, missed: 'uri-miss' | 'vary-miss' = 'uri-miss'): Reuse {
  const decided = entry === undefined ? asks[missed === 'uri-miss' ? 'uriMiss' : 'varyMiss'] : reuseOf(request, entry, nowMs, rules)
  if ('use' in decided) return decided
  return request.directives.onlyIfCached ? decided.nothing : decided.origin
}

/** Whether what is stored is for those without identity alone, and this request has one. */
export const isOfAnother = ({ identity }: CacheRequest, { terms }: Entry, { config }: CacheRules): boolean =>
  identity !== '' && !terms.forIdentified && config.identity.mode !== 'perIdentity'

function reuseOf (request: CacheRequest, entry: Entry, nowMs: number, rules: CacheRules): Reuse | typeof asks.stale {
  const { directives } = request
  const { terms } = entry
  if (isOfAnother(request, entry, rules)) return asks.otherIdentity
  if (terms.validateAlways) return asks.stale
  if (directives.noCache) return asks.request
  const staleForMs = nowMs - terms.freshUntilMs
  if (staleForMs < 0) {
    // RFC 8246 section 2: a reload is no reason to ask for what cannot have changed; no-cache is, and was seen to above.
    if (directives.maxAgeS !== undefined && !terms.immutable && currentAgeS(terms.bornAtMs, nowMs) > directives.maxAgeS) return asks.request
    if (directives.minFreshS !== undefined && -staleForMs < directives.minFreshS * 1_000) return asks.request
    return given.fresh
  }
  if (!terms.mustRevalidate && directives.maxStaleS !== undefined && staleForMs <= Math.min(directives.maxStaleS * 1_000, rules.config.stale.maxMs) && directives.minFreshS === undefined) return given.stale
  // A client that says how old it may be does not mean stale.
  if (staleForMs < terms.staleWhileRevalidateMs && directives.maxAgeS === undefined && directives.minFreshS === undefined) return given.refreshing
  return asks.stale
}

/**
 * Whether a request may wait for an answer that another one asked for: not where nobody else could have it (RFC 9111 section 4), as the client
 * says or as what is stored said. The answer itself is judged when it is there.
 */
export const mayJoin = ({ directives }: CacheRequest, entry: Entry | undefined): boolean => !directives.noCache && (entry === undefined || isForOthers(entry))

/** Whether it could be given to anybody when it came. */
const isForOthers = ({ terms, head }: Entry): boolean => !terms.validateAlways && terms.freshUntilMs + terms.staleWhileRevalidateMs > head.responseAtMs

/** Why an answer is not kept that says nothing of the one stored before it. */
const ofOthers: ReadonlySet<NotKept> = new Set(['request-no-store', 'identity', 'set-cookie', 'too-large', 'no-room'])

/**
 * Statuses that judge how it was asked: headers, method, conditions, body, pace. Fills may carry what their client sent beside the key (below a
 * prefix a User-Agent that a firewall forbids, a Referer that is too long), so they say nothing of what everybody else gets.
 */
const ofRequest: ReadonlySet<number> = new Set([400, 405, 406, 407, 408, 411, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426, 428, 429, 431])
/** Statuses that judge who asked. A firewall says how its own page is to be cached, so that says nothing either, unless it is to be kept for all. */
const ofCaller: ReadonlySet<number> = new Set([401, 402, 403])

/** Whether an answer that may be kept says nothing of the stored one all the same: an error, or a refusal that does not say how long it holds. */
export function isNoWordOn (head: EntryHead): boolean {
  const { status, headers } = head
  if (status >= 500 || ofRequest.has(status)) return true
  if (!ofCaller.has(status)) return false
  const { directives, targeted } = saidBy(headers)
  return (statedLifetimeMs(head, directives, !targeted) ?? 0) === 0
}

/**
 * Whether an answer that is not kept says that the stored one, which was asked about, holds no more (RFC 9111 section 4.3.3). What is one
 * caller's own says nothing of what all the others have.
 */
export function isWithdrawn ({ identity }: CacheRequest, status: number, reason: NotKept, { config }: CacheRules): boolean {
  if (identity !== '' && config.identity.mode === 'pass') return false
  return !ofOthers.has(reason) && status < 500 && !ofRequest.has(status) && !ofCaller.has(status)
}

/** The same of a 304, which speaks of the stored content itself, whoever asked; `reason`: why that is not kept under its new head. */
export const isWithdrawnUnchanged = (reason: NotKept): boolean => !ofOthers.has(reason)

/** Whether a stored answer may stand in for an origin that failed (RFC 5861 section 4; the client may ask for it too). */
export function mayStandIn (request: CacheRequest, entry: Entry, nowMs: number, rules: CacheRules): boolean {
  const { terms } = entry
  if (terms.validateAlways || request.directives.noCache || isOfAnother(request, entry, rules)) return false
  const askedMs = terms.mustRevalidate ? 0 : Math.min((request.directives.staleIfErrorS ?? 0) * 1_000, rules.config.stale.maxMs)
  return nowMs < terms.freshUntilMs + Math.max(terms.staleIfErrorMs, askedMs)
}
