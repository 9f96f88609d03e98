// Ports for those who bind them a moment later, or never: none that the system gives out by itself, so that nobody gets one meanwhile.
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the range of ports that Linux (32768 and up) and others (49152 and up) choose from; a part for each process, for a port that a test has closed is not
 * to be another file's server.
 */
const count = 1_000
const first = 10_000 + (process.pid % 20) * count
/** Of this process: none is given twice before all were. */
const given = new Set<number>()

/** Ports of 127.0.0.1 on which nothing listens. */
export async function freePorts (wanted: number): Promise<number[]> {
  const found: number[] = []
  while (found.length < wanted) {
    const port = first + Math.floor(Math.random() * count)
    if (given.size === count) given.clear()
    if (given.has(port)) continue
    const server = createServer()
    const isFree = await new Promise<boolean>(resolve => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)))
    if (!isFree) continue
    given.add(port)
    found.push(port)
    server.close()
    await once(server, 'close')
  }
  return found
}
