// What tells one stored answer from another: the primary key of a request, and the target by which its URL is purged. Pure.
import { createHash } from 'node:crypto'
import type { Exchange, UpstreamRequest } from '../exchange/exchange.ts'
import { toMatch, type Match } from '../lib/match-names.ts'
import { canonicalBody } from './canonical-body.ts'
import { fieldValues } from './field-syntax.ts'
import type { CacheRequest } from './request.ts'
import { ofTerms, type CacheConfig } from './rules.ts'

/** Makes keys by one policy. */
export class KeyMaker {
  readonly #isIgnored: Match | undefined
  readonly #perIdentity: boolean

  /** What is stored under one policy is nothing under another that tells answers apart, or says whose they are, in another way. */
  readonly #policy: string

  constructor (config: CacheConfig) {
    const { key: { ignoreQuery }, identity } = config
    this.#policy = digest(canonicalBody(Buffer.from(JSON.stringify(Object.entries(config).filter(([name]) => !ofAsking.has(name) && !ofTerms.has(name)))))).slice(0, 8)
    this.#isIgnored = ignoreQuery.length === 0 ? undefined : toMatch(ignoreQuery)
    this.#perIdentity = identity.mode === 'perIdentity'
  }

  /** Path in its one spelling and the query keys that count. */
  target ({ upstreamRequest: { canonicalPath, path } }: Exchange): string {
    const query = path.indexOf('?')
    return query === -1 ? canonicalPath : canonicalPath + this.#query(path.slice(query))
  }

  /**
   * Scheme and host are part of it, because services make links from them. So are the policy and the upstream: what another service, or another part of a
   * split, answered is another answer. Parts are lines, which nothing within can break. Identities and bodies enter as their hashes.
   */
  primary (exchange: Exchange, request: CacheRequest, target: string): string {
    const { request: { scheme, authority }, upstream, part, upstreamRequest: { method, body, headers } } = exchange
    let key = `${this.#policy}\n${upstream.name}\n${scheme}://${authority.toLowerCase()}${target}`
    if (part !== undefined) key += `\npart ${part.name}`
    if (request.keyParts !== '') key += `\n${request.keyParts}`
    if (this.#perIdentity && request.identity !== '') key += `\nidentity ${digest(request.identity)}`
    if (method !== 'GET' && method !== 'HEAD') key += `\n${method} ${fieldValues(headers, 'content-type').join()} ${body.kind === 'held' ? digest(canonicalBody(body.bytes)) : ''}`
    return key
  }

  /** `?` and the pairs that count, in their order and spelling. A pair with a semicolon may be several to its host, so it counts. */
  #query (query: string): string {
    if (this.#isIgnored === undefined) return query
    const kept = query.slice(1).split('&').filter(pair => {
      const equals = pair.indexOf('=')
      return pair.includes(';') || !this.#isIgnored!((equals === -1 ? pair : pair.slice(0, equals)).toLowerCase())
    })
    return kept.length === 0 ? '' : `?${kept.join('&')}`
  }
}

/** Whether a key has all that may shape the answer: not a body with a GET, by which some hosts answer, nor one that is still coming. */
export const isKeyed = ({ method, body }: UpstreamRequest): boolean => body.kind === 'none' || (body.kind === 'held' && method !== 'GET' && method !== 'HEAD')

/**
 * By which everything that may be stored for a URL is found, whatever its host, letter case, needless escapes or further parts of the key. As a hash: purges are
 * told to other gateways, and a query may hold what identifies a caller, or be very long.
 */
export const targetIndex = (target: string): string => shortDigest(unescaped(target).toLowerCase())

/** RFC 3986 section 6.2.2.2: what stands for itself means the same escaped. Nothing else is unescaped, so nothing is twice. */
const unescaped = (target: string): string => target.includes('%') ? target.replaceAll(needless, escape => String.fromCharCode(Number.parseInt(escape.slice(1), 16))) : target
const needless = /%(?:2[de]|3\d|[46][1-9a-f]|[57][\da]|5f|7e)/gi

/** The URL in a primary key. */
export const urlIn = (key: string): string => key.split('\n', 3)[2] ?? ''

/** Settings that say how answers are asked for, and nothing of what is stored. */
const ofAsking: ReadonlySet<string> = new Set(['clientDirectives', 'methods', 'collapseWaitMs', 'invalidates', 'hideOrigin', 'refreshAhead', 'refillAfterPurge', 'hitForMissMs', 'outage'] satisfies Array<keyof CacheConfig>)

const digest = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('base64url')

/** 132 bits. */
export const shortDigest = (text: string): string => digest(text).slice(0, 22)
