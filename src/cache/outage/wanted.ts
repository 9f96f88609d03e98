// Which outage copies a configuration asks for, and which request of a client a copy answers. Pure.
import type { Config } from '../../config/schema.ts'
import type { OutageProperties, OutageRequest } from '../../config/schema/outage.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import type { Match } from '../../lib/match-names.ts'

/** One request that is fetched on a schedule. */
export interface Wanted {
  /** One line; the same for the same request, over reloads and restarts. */
  readonly id: string
  /** Of its settings: a message's lower-cased name or a prefix pattern. */
  readonly key: string
  /** Path and query, as a client would send them. */
  readonly target: string
  /** Scheme and host that it is fetched under and given out for; empty = the gateway's own address, and any. */
  readonly host: string
}

export function wantedOf ({ defaults, upstreams, messages, prefixes }: Config): Map<string, Wanted> {
  const all = new Map<string, Wanted>()
  const add = (key: string, hosts: readonly string[], targets: readonly string[]) => {
    for (const host of hosts.length === 0 ? [''] : hosts.map(text => text.toLowerCase())) {
      for (const target of targets) {
        const id = `${key} ${host} ${target}`
        all.set(id, { id, key, target, host })
      }
    }
  }
  const hostsOf = (upstream: string | undefined) => (upstream === undefined ? undefined : upstreams[upstream]?.policy?.cache?.outage?.hosts) ?? defaults.policy.cache.outage.hosts
  for (const [name, { policy, upstream }] of Object.entries(messages)) {
    const { requests = [], hosts = hostsOf(upstream) } = policy?.cache?.outage ?? {}
    add(name.toLowerCase(), hosts, requests.map(request => targetOf(name, request)))
  }
  for (const [pattern, { policy, upstream }] of Object.entries(prefixes)) {
    const { requests = [], hosts = hostsOf(upstream) } = policy?.cache?.outage ?? {}
    add(pattern, hosts, requests.map(String))
  }
  return all
}

function targetOf (message: string, request: OutageRequest): string {
  if (typeof request === 'string' && request.startsWith('/')) return request
  const query = typeof request === 'string' ? request : queryOf(request)
  return `/json/reply/${message}${query === '' ? '' : `?${query}`}`
}

/** Lists as ServiceStack reads them: separated by commas. */
const queryOf = (properties: OutageProperties): string =>
  Object.entries(properties).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(Array.isArray(value) ? value.join(',') : String(value))}`).join('&')

/** Path in its one spelling, and the query as it was sent. */
export function sentTarget ({ upstreamRequest: { canonicalPath, path } }: Exchange): string {
  const query = path.indexOf('?')
  return query === -1 ? canonicalPath : canonicalPath + path.slice(query)
}

/**
 * Equal texts ask for the same. Order of the keys and escapes count for nothing, for ServiceStack hosts (`foldNames`) the letter case of
 * keys neither: a copy is for whoever means the same request. Several values of one key keep their order.
 */
export function meaningOf (sent: string, isIgnored: Match | undefined, foldNames: boolean): string {
  const at = sent.indexOf('?')
  if (at === -1) return sent
  const pairs = sent.slice(at + 1).split('&').filter(pair => pair !== '').map(pair => {
    const equals = pair.indexOf('=')
    const name = decoded(equals === -1 ? pair : pair.slice(0, equals))
    return { name: foldNames ? name.toLowerCase() : name, value: equals === -1 ? undefined : decoded(pair.slice(equals + 1)) }
  }).filter(({ name }) => isIgnored?.(name.toLowerCase()) !== true)
  // Stable: what has one name stays in order.
  pairs.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
  return pairs.length === 0 ? sent.slice(0, at) : `${sent.slice(0, at)}?${JSON.stringify(pairs.map(({ name, value }) => [name, value]))}`
}

function decoded (text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text // A bad escape means only itself.
  }
}
