// Whose request it is: the connection's peer, or behind trusted proxies the client they name. Pure.
import { BlockList, isIP } from 'node:net'

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

/**
 * Walks the chain from the right, past proxies that are trusted, to the first address that is not. What a stranger wrote to its left is
 * never reached. An entry that names no address ends the walk at the proxy that wrote it.
 */
export function resolveClient (peer: string, forwardedFor: string | undefined, trusts: (address: string) => boolean): string {
  if (forwardedFor === undefined || !trusts(peer)) return peer
  let client = peer
  const chain = forwardedFor.split(',')
  for (let i = chain.length - 1; i >= 0; i--) {
    const address = addressOf(chain[i]!)
    if (address === undefined) return client
    client = address
    if (!trusts(address)) return client
  }
  return client
}

/** for= of every element of a Forwarded header (RFC 7239), in the form of X-Forwarded-For. */
export function forwardedForChain (forwarded: string): string | undefined {
  const entries = [...forwarded.matchAll(/(?:^|[;,])\s*for=("[^"]*"|[^;,\s]*)/gi)].map(match => match[1]!)
  return entries.length === 0 ? undefined : entries.join(',')
}
