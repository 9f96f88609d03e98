// A lookup for connections that answers from known addresses in place of asking a resolver.
import { lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'

/** For node:net, node:tls and agents. `ips` is asked at each connect and may change; while it gives none the system's resolver is asked. */
export function lookupOf (ips: () => readonly string[] | undefined, otherwise: LookupFunction = lookup): LookupFunction {
  return (hostname, options, callback) => {
    const known = ips()?.map(address => ({ address, family: isIP(address) })).filter(({ family }) => options.family === undefined || options.family === 0 || options.family === family || options.family === `IPv${family}`)
    const first = known?.[0]
    if (known === undefined || first === undefined) return otherwise(hostname, options, callback)
    // In a turn of its own, as a resolver answers.
    queueMicrotask(() => { if (options.all === true) callback(null, known); else callback(null, first.address, first.family) })
  }
}
