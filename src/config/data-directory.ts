// Where things are kept over a restart when postern.yaml does not say. Pure.
import { isAbsolute, join } from 'node:path'

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Of the user; '/' for one who has none, as container runtimes say it. */
  readonly home: string
}

/**
 * systemd's directory for the unit (systemd.exec, StateDirectory=); else one of the user's (XDG Base Directory Specification), named after the
 * public listener's port, which two gateways of one machine do not share. Undefined: there is neither, the port being 0, another one at each start.
 */
export function defaultDataDirectory (listen: string, { env, home }: Surroundings): string | undefined {
  // Several are separated by colons.
  const ofUnit = env['STATE_DIRECTORY']?.split(':')[0] ?? ''
  if (ofUnit !== '') return ofUnit
  const port = Number(listen.slice(listen.lastIndexOf(':') + 1))
  if (port === 0) return undefined
  const stateHome = env['XDG_STATE_HOME'] ?? ''
  // The specification has relative ones ignored.
  return join(isAbsolute(stateHome) ? stateHome : join(home, '.local/state'), 'postern', String(port))
}
