// Reads Consul's network coordinates now and then, from the first agent that answers. To have none is fine: distances are then not known.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConsulConfig } from '../config/schema.ts'
import { connectAgent } from './consul-agent.ts'
import { readDistances, unknownDistances, type Distances } from './coordinates.ts'

/** Coordinates of a young cluster are worth little, and settle within a minute or so. */
const firstReadsMs = [0, 15_000, 60_000]

/** Runs until the signal aborts. Told is what changed. */
export async function followCoordinates (config: ConsulConfig, told: (distances: Distances) => void, signal: AbortSignal): Promise<void> {
  let known = unknownDistances
  for (let reads = 0; !signal.aborted; reads++) {
    const waitMs = Math.min(firstReadsMs[reads] ?? Infinity, config.coordinatesMs)
    try {
      await sleep(waitMs, undefined, { signal })
      const distances = await readFromAny(config, signal)
      if (distances === undefined || distances.signature === known.signature) continue
      known = distances
      told(distances)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

async function readFromAny (config: ConsulConfig, signal: AbortSignal): Promise<Distances | undefined> {
  for (const url of config.agents) {
    const connection = await connectAgent(url, { ...config, datacenter: undefined }).catch(() => undefined) // Its certificate files: the watch says what is wrong with them.
    if (connection === undefined) continue
    try {
      const [own, nodes] = await Promise.all([connection.self(signal), connection.coordinates('nodes', signal)])
      const datacenters = config.datacenters.length > 1 ? await connection.coordinates('datacenters', signal) : []
      return readDistances(nodes, datacenters, own)
    } catch {
      // An agent that is gone, or a token that may not read nodes: the next one, or the next time. What is known stays.
      signal.throwIfAborted()
    } finally {
      connection.close()
    }
  }
  return undefined
}
