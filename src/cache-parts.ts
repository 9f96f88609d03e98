// The cache and its outage copies as the composition root builds them, and what the log hears of them.
import { Cache } from './cache/cache.ts'
import { Outage } from './cache/outage/outage.ts'
import type { Config } from './config/schema.ts'
import type { DataPlane, DataPlaneOptions } from './data-plane.ts'
import { GatewayError } from './exchange/errors.ts'
import type { Exchange } from './exchange/exchange.ts'
import { ownGet, toOwnUrl, type OwnGetRules } from './routing/own-get.ts'
import type { RememberedMessage } from './route-maker.ts'
import type { Log } from './telemetry/log.ts'

export interface CachePartsOptions {
  readonly config: Config
  readonly log: Log
  readonly dataPlane: () => DataPlane
  readonly gets: OwnGetRules
  /** Scheme and host of the gateway itself. */
  readonly base: () => string
}

export function createCacheParts ({ config, log, dataPlane, gets, base }: CachePartsOptions): { readonly cache: Cache, readonly outage: Outage, readonly kept: Kept } {
  const cache = new Cache(config, {
    alarm: (service, message, { kind, header, value }) => log.warn({ service, message, kind, header, value }, 'a lifetime that no purge could take back was cut'),
    secondLevel: (up, reason) => log[up ? 'info' : 'warn']({ reason }, up ? 'the second level of the cache is used' : 'the second level of the cache is not used'),
    problem: (problem, err) => log.error({ err }, problem),
    missedPurges: reason => log.warn({ reason }, 'purges of other gateways may have been missed: everything stored is stale from now on'),
    purged: (selector, soft, count, by, ofWrite) => {
      const copies = soft || ofWrite ? 0 : outage.purge(selector)
      log[by === 'operator' ? 'info' : 'debug']({ ...selector, soft, count, by, copies }, 'purged')
    }
  }, target => routedGet(target, base(), gets))
  const outage = new Outage({
    config,
    cache,
    // Targets are checked with the configuration: they are paths.
    get: (target, host) => ownGet(toOwnUrl(target, host === '' ? base() : host)!, [], gets),
    stateOf: key => dataPlane().planOf(key)?.state,
    events: {
      failed: (target, reason) => log.warn({ path: target, reason }, 'an outage copy could not be fetched'),
      recovered: target => log.info({ path: target }, 'an outage copy is fetched again'),
      problem: (problem, err) => log.error({ err }, problem)
    }
  })
  return { cache, outage, kept: keptOf(cache, outage) }
}

/** What the data plane asks of a message that has left. */
export type Kept = Pick<DataPlaneOptions, 'storedUntil' | 'remembered'>

function keptOf (cache: Cache, outage: Outage): Kept {
  return {
    storedUntil: (upstream, message) => Math.max(cache.storedUntil(upstream, message), outage.storedUntil(upstream, message)),
    remembered () {
      const messages = new Map<string, RememberedMessage>()
      const shared = [...cache.sharedMessages].map(({ upstream, message: name, untilMs }) => ({ key: name.toLowerCase(), name, upstream, untilMs }))
      for (const message of [...shared, ...outage.messages()]) if (message.untilMs > (messages.get(message.key)?.untilMs ?? 0)) messages.set(message.key, message)
      return messages.values()
    }
  }
}

function routedGet (target: string, base: string, gets: OwnGetRules): Exchange | undefined {
  const url = toOwnUrl(target, base)
  if (url === undefined) return undefined
  try {
    return ownGet(url, [], gets)
  } catch (error) {
    if (error instanceof GatewayError) return undefined
    throw error
  }
}
