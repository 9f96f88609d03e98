// When endpoints last answered a call: what only the data plane knows, told to those who decide whether an endpoint is slow or gone.
import type { Endpoint } from './endpoint.ts'

/** By endpoint (url), ms since epoch. Can be cloned: it goes to the control thread. */
export type LastHeard = ReadonlyArray<readonly [url: string, at: number]>

/** Of these endpoints (url); nothing of those that have never answered, and of those that are none now. */
export function lastHeard (upstreams: Iterable<{ readonly endpoints: Iterable<Pick<Endpoint, 'url' | 'heardAtMs'>> }>, urls: readonly string[]): LastHeard {
  const wanted = new Set(urls)
  const epochMs = Date.now() - performance.now()
  const heard: Array<readonly [string, number]> = []
  for (const { endpoints } of upstreams) for (const { url, heardAtMs } of endpoints) if (wanted.has(url) && heardAtMs > -Infinity) heard.push([url, epochMs + heardAtMs])
  return heard
}
