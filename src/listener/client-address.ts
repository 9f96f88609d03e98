// Whose request it is, and what it was addressed to: the connection's own peer, or behind trusted proxies what they say. Pure.
import { BlockList, isIP } from 'node:net'
import { readForwarded, readForwardedFor, type Hop } from '../exchange/forwarded.ts'
import type { RequestHead } from '../exchange/headers.ts'

/** "10.0.0.0/8", "::1" → a rule. Throws on what is neither an address nor a range. */
export function createTrust (ranges: readonly string[]): (address: string) => boolean {
  if (ranges.length === 0) return () => false
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/')
    const family = isIP(address)
    if (family === 0) throw new Error(`edge.trustedProxies: ${range} is neither an address nor a range`)
    const type = family === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, type)
    else list.addSubnet(address, Number(prefix), type)
  }
  return address => {
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/** Sockets that take both families name IPv4 peers as ::ffff:192.0.2.1. */
export function plainAddress (address: string | undefined): string {
  if (address === undefined) return ''
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

/** An entry of X-Forwarded-For or for= of Forwarded: with port, brackets or quotes, or unknown. Undefined when it names no address. */
export function addressOf (entry: string): string | undefined {
  let text = entry.trim()
  if (text.startsWith('"') && text.endsWith('"')) text = text.slice(1, -1)
  if (text.startsWith('[')) text = text.slice(1, text.indexOf(']'))
  else if (isIP(text) === 0) text = text.replace(/:\d+$/, '')
  return isIP(text) === 0 ? undefined : plainAddress(text)
}

/** Where a request comes from, and what it was addressed to where a proxy says so: as written. */
export interface Origin {
  readonly address: string
  readonly proto?: string | undefined
  readonly host?: string | undefined
}

/**
 * Walks the chain from the right, past proxies that are trusted, to the first address that is not. What a stranger wrote to its left is
 * never reached. An entry that names no address ends the walk at the proxy that wrote it.
 */
function walkHops (peer: string, hops: readonly Hop[], trusts: (address: string) => boolean): Origin {
  let origin: Origin = { address: peer }
  for (let i = hops.length - 1; i >= 0 && trusts(origin.address); i--) {
    const { node, proto, host } = hops[i]!
    const address = node === undefined ? undefined : addressOf(node)
    origin = { address: address ?? origin.address, proto, host }
    if (address === undefined) break
  }
  return origin
}

/** Of a list, as proxies in a row write it, what the first one says. */
const firstOf = (list: string | undefined): string | undefined => list?.split(',', 1)[0]!.trim()

/** What trusted proxies say. X-Forwarded-* count more than Forwarded: proxies that do not know the latter pass on what strangers wrote. */
export function originOf (peer: string, { forwardedFor, forwardedProto, forwardedHost, forwarded }: Pick<RequestHead, 'forwardedFor' | 'forwardedProto' | 'forwardedHost' | 'forwarded'>, trusts: (address: string) => boolean): Origin {
  const hops = forwardedFor !== undefined ? readForwardedFor(forwardedFor) : forwarded !== undefined ? readForwarded(forwarded) : []
  const told = walkHops(peer, hops, trusts)
  if (forwardedProto === undefined && forwardedHost === undefined) return told
  return { address: told.address, proto: firstOf(forwardedProto), host: firstOf(forwardedHost) }
}
