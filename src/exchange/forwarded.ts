// On whose way a request came: what others said of it in Forwarded and X-Forwarded-For, and what the endpoint is told. Pure.
import type { HeaderRules, RequestHead } from './headers.ts'

/** What one proxy says of the request that it was sent (RFC 7239 section 4). */
export interface Hop {
  /** Who sent it: an address, perhaps with port, brackets or quotes, or unknown. */
  readonly node: string | undefined
  readonly proto: string | undefined
  readonly host: string | undefined
}

/** The entries of X-Forwarded-For. */
export const readForwardedFor = (forwardedFor: string): Hop[] => forwardedFor.split(',').map(node => ({ node, proto: undefined, host: undefined }))

const quotedText = /"(?:[^"\\]|\\.)*"/g

/** The elements of Forwarded; none where a quotation is left open: it may have swallowed what trusted proxies wrote behind it. */
export function readForwarded (forwarded: string): Hop[] {
  if (forwarded.replaceAll(quotedText, '').includes('"')) return []
  return Array.from(forwarded.matchAll(/(?:"(?:[^"\\]|\\.)*"|[^",])+/g), ([element]) => {
    const said = new Map<string, string>()
    for (const [, name, quoted, token] of element.matchAll(/(?:^|;)\s*(for|proto|host)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/gi)) said.set(name!.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? token!)
    return { node: said.get('for'), proto: said.get('proto'), host: said.get('host') }
  })
}

/** What the gateway says of a request to the endpoint. */
export interface Forwarding {
  readonly clientAddress: string
  /** The connection's own peer: the client, or the nearest trusted proxy. */
  readonly peer: string
  /** As the client used it; what a trusted proxy says of it counts. */
  readonly scheme: 'http' | 'https'
  readonly authority: string
  /** As this connection was made. */
  readonly receivedScheme: 'http' | 'https'
  readonly httpVersion: string
  readonly correlationId: string
  readonly traceparent: string
}

/**
 * Appends ours to the headers that were read. X-Forwarded-For carries the one resolved address, because ServiceStack takes the header
 * whole, commas included; the chain goes in Forwarded (RFC 7239), begun anew for strangers; Via as in RFC 9110 section 7.6.3.
 */
export function addForwarding (head: RequestHead, forwarding: Forwarding, rules: HeaderRules): void {
  const { clientAddress, scheme, authority } = forwarding
  head.headers.push('X-Forwarded-For', clientAddress, 'X-Forwarded-Proto', scheme)
  if (head.realIp !== undefined) head.headers.push(head.realIp, clientAddress)
  if (authority !== '') head.headers.push('X-Forwarded-Host', authority)
  head.headers.push(
    'Forwarded', chain(head, forwarding),
    'Via', viaWith(head.via, forwarding.httpVersion, rules.pseudonym),
    rules.correlationHeader, forwarding.correlationId,
    'traceparent', forwarding.traceparent)
  if (head.tracestate !== undefined) head.headers.push('tracestate', head.tracestate)
}

export function viaWith (before: string | undefined, httpVersion: string, pseudonym: string): string {
  const mine = `${httpVersion} ${pseudonym}`
  return before === undefined ? mine : `${before}, ${mine}`
}

/**
 * The first element says what the request was addressed to, as the gateway takes it; the others, whom it came by. What they said of host and scheme is
 * left out: proxies that do not know Forwarded pass on what a stranger wrote in it, and hosts make links of the first that they find.
 */
function chain ({ forwarded, forwardedFor }: RequestHead, { peer, scheme, authority, receivedScheme }: Forwarding): string {
  const addressed = `${authority === '' ? '' : `;host="${authority}"`};proto=${scheme}`
  // Nearly all.
  if (forwarded === undefined && forwardedFor === undefined) return `for=${nodeOf(peer)}${addressed}`
  const before = forwarded === undefined ? readForwardedFor(forwardedFor!) : readForwarded(forwarded)
  const nodes = [...before.map(({ node }) => nodeOf(node ?? '')), nodeOf(peer)]
  return nodes.map((node, at) => `for=${node}${at === 0 ? addressed : at === nodes.length - 1 ? `;proto=${receivedScheme}` : ''}`).join(', ')
}

/** Of what a stranger wrote: no quotation that would swallow what follows. */
function nodeOf (written: string): string {
  const node = written.trim().replaceAll(/["\\]/g, '')
  if (node === '') return 'unknown'
  return /^[\w.-]+$/.test(node) ? node : `"${node.split(':').length > 2 && !node.startsWith('[') ? `[${node}]` : node}"`
}
