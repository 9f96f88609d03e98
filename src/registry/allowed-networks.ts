// Whether Postern may connect to an address that a registry lists. Pure but for the default of `ownIps`; host names are decided on what they
// resolve to (resolve.ts).
import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Cure, EndpointAddress, Registration } from './registration.ts'

export interface OwnListener {
  /** An IP address, or 0.0.0.0 or :: for all of this machine's. */
  readonly host: string
  readonly port: number
}

/** What is known of the registration that names the address. A `Registration` satisfies it. */
export type AddressFacts = Pick<Registration, 'registry' | 'ownNode'>

/** What of an address the rules look at. */
type Origin = Pick<EndpointAddress, 'origin'>

/** `reason`: as a sentence for operators. `cure`: see Registration. */
export interface Refusal { readonly reason: string, readonly cure?: Cure }

/** Undefined: it may be used. */
export type NetworkRule = (address: Origin, facts: AddressFacts) => Refusal | undefined

export interface NetworkRules {
  /** Decides what can be decided without resolving: IP addresses and `localhost`. Other host names pass: ask `resolved` later. */
  readonly check: NetworkRule
  /** The same for what a host name resolved to. One address that is refused refuses the name: which one is dialled is not ours to say. */
  readonly resolved: (address: Origin, ips: readonly string[], facts: AddressFacts) => Refusal | undefined
}

/** Never allowed, whatever the operator lists: the addresses that answer with a machine's credentials, and what has no host behind it. */
const never: ReadonlyArray<readonly [cidr: string, what: string]> = [
  ['169.254.0.0/16', 'link-local (metadata services answer there)'],
  ['fe80::/10', 'link-local'],
  ['fd00:ec2::254/128', 'a metadata service'],
  ['fd20:ce::254/128', 'a metadata service'],
  ['100.100.100.200/32', 'a metadata service'],
  ['168.63.129.16/32', 'a metadata service'],
  ['224.0.0.0/4', 'multicast'],
  ['ff00::/8', 'multicast'],
  ['255.255.255.255/32', 'broadcast']
]
const loopback = listOf(['127.0.0.0/8', '::1/128'])
/** A connection to an unspecified address reaches the own machine. */
const unspecified = listOf(['0.0.0.0/8', '::/128'])

const refusedAlways = never.map(([cidr, what]) => ({ list: listOf([cidr]), what }))

/** Why nobody may have Postern connect there, whatever is allowed; undefined: nothing speaks against it. */
function whyNever (ip: string): string | undefined {
  return refusedAlways.find(({ list }) => has(list, unmapped(ip)))?.what
}

/**
 * Builds the rules from the operator's `allowedNetworks`.
 * @param ownListeners Postern's own: an endpoint there would be a loop.
 * @param ownIps Addresses of this machine's interfaces: they reach listeners on 0.0.0.0.
 * @throws RangeError for a malformed CIDR
 */
export function createNetworkRules (cidrs: readonly string[], ownListeners: readonly OwnListener[], ownIps: readonly string[] = machineIps()): NetworkRules {
  const allowed = listOf(cidrs)
  const own = listOf(ownIps.filter((ip) => isIP(ip) !== 0).map((ip) => `${ip}/${isIP(ip) === 6 ? 128 : 32}`))

  const checkIp = (written: string, port: number, facts: AddressFacts): Refusal | undefined => {
    const ip = unmapped(written)
    const toOurselves = has(loopback, ip) || has(unspecified, ip)
    const what = whyNever(ip)
    if (what !== undefined) return { reason: `${written} is ${what}` }
    for (const listener of ownListeners) {
      if (listener.port === port && reaches(ip, unmapped(listener.host), toOurselves, has(own, ip))) return { reason: `${isIP(written) === 6 ? `[${written}]` : written}:${port} is Postern's own listener` }
    }
    // Whoever writes postern.yaml says by that where may be connected to. What nobody has a service at is refused to him too.
    if (facts.registry === 'config') return undefined
    if (toOurselves && !fromOwnMachine(facts)) return { reason: `${written} means the machine of whoever registered it, and that is not ours` }
    // An unspecified address is dialled as loopback, so that is what must be allowed.
    const dialled = has(unspecified, ip) ? (isIP(ip) === 6 ? '::1' : '127.0.0.1') : ip
    if (!has(allowed, dialled)) return { reason: `${written} is in none of registry.allowedNetworks`, cure: 'networks' }
    return undefined
  }

  const resolved: NetworkRules['resolved'] = (address, ips, facts) => {
    const { host, port } = authorityOf(address)
    for (const ip of ips) {
      const refusal = checkIp(ip, port, facts)
      if (refusal !== undefined) return { reason: `${host} resolves to ${ip}: ${refusal.reason}`, cure: refusal.cure ?? 'name' }
    }
    return ips.length === 0 ? { reason: `${host} resolves to nothing`, cure: 'name' } : undefined
  }
  return {
    resolved,
    check: (address, facts) => {
      const { host, port } = authorityOf(address)
      if (isIP(host) !== 0) return checkIp(host, port, facts)
      // RFC 6761 section 6.3: always loopback, and never to be asked of a resolver.
      if (/(^|\.)localhost\.?$/i.test(host)) return resolved(address, ['127.0.0.1'], facts)
      return undefined
    }
  }
}

function machineIps (): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? [])
}

/** Host (IPv6 without brackets) and port of an endpoint, default ports filled in. */
export function authorityOf (address: Origin): { host: string, port: number } {
  const url = new URL(address.origin)
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return { host, port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port) }
}

/** What the operator wrote into a file, or was registered at our own embedded registry, or stands on the node of an agent on this machine. */
function fromOwnMachine (facts: AddressFacts): boolean {
  return facts.registry !== 'consul' || facts.ownNode === true
}

function reaches (ip: string, listenerHost: string, toOurselves: boolean, ownIp: boolean): boolean {
  if (ip === listenerHost) return true
  const host = listenerHost === 'localhost' ? '127.0.0.1' : listenerHost
  if (isIP(host) === 0) return toOurselves || ownIp
  if (has(unspecified, host)) return toOurselves || ownIp
  // 127.0.0.2 reaches no listener of 127.0.0.1, but 0.0.0.0 does; ::1 and 127.0.0.1 are different listeners on the same machine.
  return has(unspecified, ip) && has(loopback, host)
}

/** ::ffff:10.0.0.1 reaches 10.0.0.1, so it is judged as that; likewise NAT64 (RFC 6052), 6to4 (RFC 3056) and IPv4-compatible forms. */
function unmapped (ip: string): string {
  if (isIP(ip) !== 6) return ip
  const groups = groupsOf(ip)
  const v4 = (high: number, low: number): string => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  const zero = (from: number, to: number): boolean => groups.slice(from, to).every((group) => group === 0)
  if (zero(0, 5) && groups[5] === 0xffff) return v4(groups[6]!, groups[7]!)
  if (groups[0] === 0x64 && groups[1] === 0xff9b && zero(2, 6)) return v4(groups[6]!, groups[7]!)
  if (groups[0] === 0x2002) return v4(groups[1]!, groups[2]!)
  if (zero(0, 6) && (groups[6] !== 0 || groups[7]! > 1)) return v4(groups[6]!, groups[7]!)
  return ip
}

/** The eight groups of an IPv6 address. */
function groupsOf (ip: string): number[] {
  // The URL parser writes every spelling, embedded IPv4 too, as hexadecimal groups.
  const canonical = new URL(`http://[${ip.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const parse = (part: string): number[] => part === '' ? [] : part.split(':').map((group) => parseInt(group, 16))
  const start = parse(head)
  if (tail === undefined) return start
  const end = parse(tail)
  return [...start, ...new Array<number>(8 - start.length - end.length).fill(0), ...end]
}

function has (list: BlockList, ip: string): boolean {
  return list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4')
}

function listOf (cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [network = '', prefix] = cidr.trim().split('/')
    const family = isIP(network)
    const bits = prefix === undefined ? (family === 6 ? 128 : 32) : Number(prefix)
    if (family === 0 || !/^[0-9]{1,3}$/.test(prefix ?? '0') || bits > (family === 6 ? 128 : 32)) {
      throw new RangeError(`not a network in CIDR form: ${cidr}`)
    }
    list.addSubnet(network, bits, family === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}
