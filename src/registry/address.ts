// What a registration says of where calls go -> one canonical endpoint address, or the reason why it names none. Pure.
import { isIPv6 } from 'node:net'
import type { EndpointAddress } from './registration.ts'

export type ParsedAddress = { readonly address: EndpointAddress } | { readonly refused: string }

/** What a registry lists of an address. All of it is foreign text. */
export interface AddressParts {
  /** A full base URL (what the discovery plugin registers), a host name, or an IP address. Empty: the node's address counts. */
  readonly address: string
  readonly port: number
  readonly nodeAddress: string
  /** Scheme for addresses that are no URL. */
  readonly scheme: 'http' | 'https'
}

/**
 * A base URL wins over the port beside it (the plugin's own clients never read that one). Two spellings of one address give the same
 * `url`: letter case, default ports, trailing slashes, numeric forms of IPv4 and IPv6.
 */
export function parseAddress (parts: AddressParts): ParsedAddress {
  const written = parts.address.trim()
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(written)) return parseBaseUrl(written)
  const host = written === '' ? parts.nodeAddress.trim() : written
  if (host === '') return { refused: 'it has no address, and its node has none either' }
  return parseHost(host, parts.port, parts.scheme)
}

/** A base URL: scheme, host, port, path. The URL of a fixed endpoint is read by the same rules. */
export function parseBaseUrl (written: string): ParsedAddress {
  let url: URL
  try {
    url = new URL(written)
  } catch {
    return { refused: `its address is not a valid URL: ${shown(written)}` }
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return { refused: `its address has the scheme ${url.protocol.slice(0, -1)}, not http or https` }
  if (url.username !== '' || url.password !== '') return { refused: 'its address carries a user name or a password' }
  if (url.search !== '' || url.hash !== '') return { refused: `its address is no base URL, it has a query or a fragment: ${shown(written)}` }
  if (url.port === '0') return { refused: `its address has port 0: ${shown(written)}` }
  const basePath = url.pathname.replace(/\/+$/, '')
  return { address: { url: url.origin + basePath, origin: url.origin, basePath } }
}

function parseHost (host: string, port: number, scheme: 'http' | 'https'): ParsedAddress {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  if (isIPv6(bare)) {
    if (bare.includes('%')) return { refused: `its address names a network interface: ${shown(host)}` }
    return withPort(`[${bare}]`, port, scheme)
  }
  // Some register "10.0.0.7:8080" as the address and no port.
  const joined = /^([^:/]+):([0-9]{1,5})$/.exec(host)
  if (joined !== null) return withPort(joined[1]!, Number(joined[2]), scheme)
  if (/[/\\?#@:\s]/.test(host)) return { refused: `its address is neither a URL nor a host: ${shown(host)}` }
  return withPort(host, port, scheme)
}

function withPort (host: string, port: number, scheme: string): ParsedAddress {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return { refused: `it has no usable port (${shown(String(port))})` }
  return parseBaseUrl(`${scheme}://${host}:${port}`)
}

/** Foreign text, short and without control characters, for a message. */
export function shown (text: string): string {
  // eslint-disable-next-line no-control-regex
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
  return clean.length > 120 ? `${clean.slice(0, 120)}…` : clean
}
