// Contender: Postern without its protections. The request path has only what answers at all: no deadline, shedding, breaker, bulkhead, retry.
// Arguments: start --config FILE, as for the command.
import { loadConfig } from '../../src/config/load.ts'
import { compose } from '../../src/exchange/compose.ts'
import { settle } from '../../src/exchange/settle.ts'
import { cache } from '../../src/filters/cache.ts'
import { pickEndpoint } from '../../src/filters/pick-endpoint.ts'
import { send } from '../../src/filters/send.ts'
import { createGateway, type GatewayOptions } from '../../src/gateway.ts'

const buildPipeline: GatewayOptions['buildPipeline'] = (parts, policy) => {
  const below = compose([pickEndpoint], send)
  // The cache is no protection: it stands in both.
  return settle(compose([parts.observe, cache(parts.caching, policy, settle(below))], below))
}

const gateway = await createGateway(await loadConfig(process.argv[4]), { buildPipeline })
await gateway.start()
