// Reads the PEM files that endpoints of an upstream are asked with. I/O.
import { readFileSync } from 'node:fs'
import type { Config } from '../config/schema.ts'
import type { AskTls } from '../contracts/get.ts'

/** TLS per upstream. A file that cannot be read is reported; its upstream is then asked with the system's authorities. */
export function loadAskTls (upstreams: Config['upstreams'], onProblem: (upstream: string, error: Error) => void): Map<string, AskTls> {
  const all = new Map<string, AskTls>()
  for (const [name, { tls }] of Object.entries(upstreams)) {
    if (tls === undefined) continue
    const read = (path: string | undefined) => path === undefined ? undefined : readFileSync(path, 'utf8')
    try {
      const [ca, cert, key] = [read(tls.caFile), read(tls.certFile), read(tls.keyFile)]
      all.set(name, {
        rejectUnauthorized: tls.verify,
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ...(tls.serverName === undefined ? {} : { servername: tls.serverName })
      })
    } catch (error) {
      onProblem(name, error as Error)
    }
  }
  return all
}
