// Which settings of a new configuration only count after a restart. Pure.
import type { Config } from './schema.ts'

/** What is bound or opened once, at the start. Everything else is live. */
const fixedAtStart: ReadonlyArray<readonly [path: string, read: (config: Config) => unknown]> = [
  ['listener.address', config => config.listener.address],
  ['listener.tls (on or off)', config => config.listener.tls !== undefined],
  ['listener.tls.minVersion', config => config.listener.tls?.minVersion],
  ['listener.tls.http2', config => config.listener.tls?.http2],
  ['listener.tls.redirectFrom', config => config.listener.tls?.redirectFrom],
  ['listener.limits.headerBytes', config => config.listener.limits.headerBytes],
  ['listener.limits.http2MaxStreams', config => config.listener.limits.http2MaxStreams],
  ['admin.address', config => config.admin.address],
  ['admin.probesAddress', config => config.admin.probesAddress],
  ['log', config => config.log],
  ['dataDirectory', config => config.dataDirectory]
]

/** Their names, for the documentation. */
export const restartSettings: readonly string[] = fixedAtStart.map(([path]) => path)

/** One sentence for each changed setting that the running gateway cannot take over; `started` is what it started with. */
export function restartNeeded (started: Config, next: Config): string[] {
  return fixedAtStart
    .filter(([, read]) => JSON.stringify(read(started)) !== JSON.stringify(read(next)))
    .map(([path]) => `${path} changed: it counts after a restart`)
}
