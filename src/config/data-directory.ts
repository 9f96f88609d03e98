// Where things are kept over a restart when postern.yaml does not say. Pure.
import { isAbsolute, join } from 'node:path'

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Of the user; '/' for one who has none, as container runtimes say it. */
  readonly home: string
}

/** Of two that listen at one port none can be at such a host beside the other: the port says which is meant. */
const plainHosts: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '0.0.0.0', '[::]'])

/**
 * systemd's directory for the unit (systemd.exec, StateDirectory=); else one of the user's (XDG Base Directory Specification), named after the
 * public listener's port, and its host where that is one of several: what two gateways of one machine do not share. Undefined: there is neither, the port being 0, another one at each start.
 */
export function defaultDataDirectory (listen: string, { env, home }: Surroundings): string | undefined {
  // Several are separated by colons.
  const ofUnit = env['STATE_DIRECTORY']?.split(':')[0] ?? ''
  if (ofUnit !== '') return ofUnit
  const colon = listen.lastIndexOf(':')
  const [host, port] = [listen.slice(0, colon).toLowerCase(), Number(listen.slice(colon + 1))]
  if (port === 0) return undefined
  const stateHome = env['XDG_STATE_HOME'] ?? ''
  // The specification has relative ones ignored.
  const name = plainHosts.has(host) ? String(port) : `${port}-${host.replace(/^\[|\]$/g, '').replace(/[^a-z0-9.-]/g, '_')}`
  return join(isAbsolute(stateHome) ? stateHome : join(home, '.local/state'), 'postern', name)
}
