// Which Host headers a loopback admin listener answers: a page on the internet can point its own name at 127.0.0.1 (DNS rebinding). Pure.
import { isIP } from 'node:net'

/** Whether an address to listen on is reachable from this machine only. */
export function isLoopback (host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/**
 * Addresses and localhost cannot be rebound; a name can. A request without Host is no browser's.
 * Only for listeners on loopback: elsewhere operators call by whatever name they gave the machine.
 */
export function isHostAccepted (header: string | undefined): boolean {
  if (header === undefined || header === '') return true
  const host = header.startsWith('[') ? header.slice(1, header.indexOf(']')) : header.replace(/:\d*$/, '')
  const name = host.toLowerCase()
  return isIP(host) !== 0 || name === 'localhost' || name.endsWith('.localhost')
}
