// /api/cache: what is stored and how it does; the copies for an outage; purging by URL, tag, message, service, or all of it.
import type { Cache } from '../cache/cache.ts'
import { currentAgeS } from '../cache/freshness.ts'
import { urlIn } from '../cache/key.ts'
import type { Outage } from '../cache/outage/outage.ts'
import type { Selector } from '../cache/purge-log.ts'
import type { SecondLevel } from '../cache/second-level/second-level.ts'
import type { SharedMessage } from '../cache/second-level/shared-messages.ts'
import type { Stored } from '../cache/stored.ts'
import { ActionRefused, type AdminAction } from './actions.ts'

const mostListed = 1_000
const purgeNames: ReadonlySet<string> = new Set(['url', 'tag', 'message', 'service', 'all', 'soft'])
const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** More than one for a URL that is stored under another spelling. @throws ActionRefused */
function toSelectors (cache: Cache, body: Readonly<Record<string, unknown>>): Selector[] {
  const { url, tag, message, service, all, soft } = body
  const unknown = Object.keys(body).find(name => !purgeNames.has(name))
  if (unknown !== undefined) throw new ActionRefused(400, 'PurgeUnclear', `"${unknown.slice(0, 200)}" says nothing here: a purge has ${[...purgeNames].join(', ')}.`)
  if (soft !== undefined && typeof soft !== 'boolean') throw new ActionRefused(400, 'PurgeUnclear', '"soft" is true or false, without quotes. Nothing was purged.')
  const meant: Selector[][] = []
  if (isText(url)) meant.push(cache.targetsOf(targetOf(url)).map(target => ({ kind: 'target', target })))
  if (isText(tag)) meant.push([{ kind: 'tag', tag }])
  if (isText(message)) meant.push([{ kind: 'message', message }])
  if (isText(service)) meant.push([{ kind: 'service', service }])
  if (all === true) meant.push([{ kind: 'all' }])
  if (meant.length !== 1) throw new ActionRefused(400, 'PurgeUnclear', 'Exactly one of these says what goes: {"url"}, {"tag"}, {"message"}, {"service"} or {"all": true}; with "soft": true it only counts as stale from now on.')
  return meant[0]!
}

/** Path and query of a URL, or of what begins with a slash. @throws ActionRefused */
function targetOf (url: string): string {
  if (url.startsWith('/')) return url
  const parsed = URL.parse(url)
  if (parsed === null) throw new ActionRefused(400, 'UrlUnreadable', `"${url.slice(0, 200)}" is no URL, and no path that begins with a slash.`)
  return `${parsed.pathname}${parsed.search}`
}

/** What there is of names. */
export interface KnownNames {
  /** A message or prefix. */
  message (name: string): boolean
  service (name: string): boolean
}

export function cacheActions (cache: Cache, outage: Outage, known: KnownNames): AdminAction[] {
  return [
    {
      method: 'GET',
      path: '/api/cache',
      says: 'The cache: what it holds, what it is asking for, and how each message does.',
      run: () => overview(cache)
    },
    {
      method: 'GET',
      path: '/api/cache/entries',
      says: `Stored answers, at most ${mostListed}: ?message=NAME, ?service=NAME, ?url=PATH.`,
      run: ({ parameters }) => entries(cache, parameters)
    },
    {
      method: 'GET',
      path: '/api/cache/copies',
      says: 'Outage copies: each request of cache.outage, the age of its copy, and why the last fetch failed: ?message=NAME, ?service=NAME.',
      run: ({ parameters }) => copies(outage, parameters)
    },
    {
      method: 'POST',
      path: '/api/cache/purge',
      says: 'Removes stored answers: {"url"}, {"tag"}, {"message"}, {"service"} or {"all": true}; "soft": true only makes them stale. Says how many there were here, how many outage copies went with them, and how many other gateways were told.',
      run: ({ body }) => purge(cache, outage, known, typeof body === 'object' && body !== null ? body as Record<string, unknown> : {})
    }
  ]
}

/** @throws ActionRefused */
function purge (cache: Cache, outage: Outage, known: KnownNames, body: Readonly<Record<string, unknown>>): object {
  const soft = body['soft'] === true
  const selectors = toSelectors(cache, body)
  const missing = findMissing(cache, known, selectors[0]!)
  const before = outage.held
  const purged = selectors.reduce((sum, selector) => sum + cache.purge(selector, soft, 'operator'), 0)
  const copies = before - outage.held
  // Asked afterwards: of a message that has left, answers may be stored here, and other gateways are told of the purge whatever is here.
  if (missing !== undefined && purged + copies === 0) throw new ActionRefused(404, missing.code, `There is no ${missing.kind} ${missing.name.slice(0, 200)}, and nothing is stored of it here.`)
  const told = cache.secondLevel?.purges.gateways
  return { purged, soft, copies, ...told === undefined ? {} : { told } }
}

/** A name that nobody has, as far as this gateway knows, also of those whose answers others have stored. */
function findMissing (cache: Cache, known: KnownNames, selector: Selector): { readonly code: string, readonly kind: string, readonly name: string } | undefined {
  const shared = (has: (of: SharedMessage) => string, name: string) => [...cache.sharedMessages].some(of => has(of).toLowerCase() === name.toLowerCase())
  switch (selector.kind) {
    case 'message': return known.message(selector.message) || shared(({ message }) => message, selector.message) ? undefined : { code: 'MessageNotFound', kind: 'message', name: selector.message }
    case 'service': return known.service(selector.service) || shared(({ upstream }) => upstream, selector.service) ? undefined : { code: 'ServiceNotFound', kind: 'service', name: selector.service }
    default: return undefined
  }
}

function overview ({ store, fills, background, purged, secondLevel, tallies }: Cache): object {
  const { maxBytes, maxEntries } = store.limits
  const shelves = new Map([...store.shelves].map(shelf => [`${shelf.upstream}\n${shelf.message}`, shelf]))
  return {
    bytes: store.bytes,
    maxBytes,
    entries: store.size,
    maxEntries,
    evictions: store.evicted,
    purged,
    ...secondLevel === undefined ? {} : { secondLevel: describeSecondLevel(secondLevel) },
    fills: { running: fills.size, background: background.running, waiting: background.waiting, dropped: background.dropped },
    messages: [...tallies].filter(({ results }) => Object.values(results).some(count => count > 0)).map(({ upstream, message, results, forwarded, notStored }) => {
      const shelf = shelves.get(`${upstream}\n${message}`)
      return { service: upstream, message, keys: shelf?.resources.size ?? 0, bytes: shelf?.bytes ?? 0, ...results, forwarded: Object.fromEntries(forwarded), notStored: Object.fromEntries(notStored) }
    })
  }
}

function describeSecondLevel ({ up, reads, bytesRead, writes, purges }: SecondLevel): object {
  return { up, reads, bytesRead, writes: { ...writes.counts, waiting: writes.waiting }, bytesWritten: writes.bytesWritten, purges }
}

const isoTime = (ms: number): string => new Date(ms).toISOString()

function copies (outage: Outage, { message, service }: Readonly<Record<string, string>>): object {
  const nowMs = Date.now()
  const listed: object[] = []
  for (const { wanted: { key, target, host }, copy, failure } of outage.described()) {
    const place = copy?.stored.place
    if (message !== undefined && (place?.message ?? key).toLowerCase() !== message.toLowerCase()) continue
    if (service !== undefined && place?.upstream.toLowerCase() !== service.toLowerCase()) continue
    listed.push({
      message: place?.message ?? key,
      url: `${host}${target}`,
      service: place?.upstream ?? null,
      ageS: copy === undefined ? null : currentAgeS(copy.stored.terms.bornAtMs, nowMs),
      bytes: copy?.stored.bytes ?? 0,
      lastFailure: failure === undefined ? null : { at: isoTime(failure.atMs), reason: failure.reason }
    })
  }
  const { held, missing, bytes, onDisk, fetches } = outage
  return { held, missing, bytes, onDisk, fetches, copies: listed }
}

/** Keys may hold what identifies a caller, if only as a hash: they are not among it. */
function entries (cache: Cache, { message, service, url }: Readonly<Record<string, string>>): object {
  const nowMs = Date.now()
  const targets = url === undefined ? undefined : cache.targetsOf(targetOf(url))
  const listed: object[] = []
  for (const stored of cache.store.entries()) {
    const { place } = stored
    if (message !== undefined && place.message.toLowerCase() !== message.toLowerCase() && !place.reached.includes(message.toLowerCase())) continue
    if (service !== undefined && place.upstream.toLowerCase() !== service.toLowerCase()) continue
    if (targets?.includes(place.target) === false) continue
    if (listed.length === mostListed) break
    listed.push(describeEntry(stored, nowMs))
  }
  return { entries: listed }
}

/** What operators are told of a stored answer. */
export function describeEntry ({ place, head, terms, bytes, hits }: Stored, nowMs: number): object {
  return {
    service: place.upstream,
    message: place.message,
    url: urlIn(place.key),
    varies: terms.vary,
    status: head.status,
    ageS: Math.floor((nowMs - terms.bornAtMs) / 1_000),
    ttlS: Math.floor((terms.freshUntilMs - nowMs) / 1_000),
    bytes,
    hits,
    tags: terms.tags
  }
}
