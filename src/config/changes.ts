// Which settings of a new configuration only count after a restart. Pure.
import type { Config } from './schema.ts'

/** What is bound or opened once, at the start. Everything else is live. */
const fixedAtStart: ReadonlyArray<readonly [path: string, read: (config: Config) => unknown]> = [
  ['listener.address', config => config.listener.address],
  ['listener.tls (on or off)', config => config.listener.tls !== undefined],
  ['listener.tls.minVersion', config => config.listener.tls?.minVersion],
  ['listener.tls.http2', config => config.listener.tls?.http2],
  ['listener.tls.redirectFrom', config => config.listener.tls?.redirectFrom],
  ['admin.address', config => config.admin.address],
  ['admin.probesAddress', config => config.admin.probesAddress],
  ['log', config => config.log],
  ['dataDirectory', config => config.dataDirectory]
]

/** Their names, for the documentation. */
export const restartSettings: readonly string[] = fixedAtStart.map(([path]) => path)

/** What a gateway that was started with one configuration has of the next: whatever counts after a restart stays. For showing. */
export function configInForce (started: Config, next: Config): Config {
  const { listener, admin, log, dataDirectory } = started
  const { dataDirectory: _, ...live } = next
  return {
    ...live,
    listener: { ...withTls(listener.tls, next.listener), address: listener.address },
    // Nothing else is in there.
    admin,
    log,
    ...dataDirectory === undefined ? {} : { dataDirectory }
  }
}

/** Certificates are live; whether there is TLS, and how, is not. */
function withTls (started: Config['listener']['tls'], { tls: next, ...listener }: Config['listener']): Config['listener'] {
  if (started === undefined) return listener
  return { ...listener, tls: { ...started, certificates: (next ?? started).certificates } }
}

/** One sentence for each changed setting that the running gateway cannot take over; `started` is what it started with. */
export function restartNeeded (started: Config, next: Config): string[] {
  return fixedAtStart
    .filter(([, read]) => JSON.stringify(read(started)) !== JSON.stringify(read(next)))
    .map(([path]) => `${path} changed: it counts after a restart`)
}
