// A gateway with services behind it, in one call: ServiceStack doubles registered as the plugin does, or plain origins fixed in YAML.
import { startGateway, type PartialConfig, type TestGateway } from './gateway.ts'
import { startOrigin, type Behaviour, type Origin } from './origin.ts'
import { registerAsPlugin, type PluginOptions } from './plugin-registration.ts'
import { startServiceStackHost, type HostOptions, type ServiceStackHost } from './servicestack-host.ts'

export interface Fleet extends AsyncDisposable {
  readonly gateway: TestGateway
  readonly hosts: ServiceStackHost[]
}

/** Hosts registered in the embedded registry. Ready when every message of theirs is decided. */
export async function startFleet (hostOptions: HostOptions[], config: PartialConfig = {}, plugin: PluginOptions = { heartbeatIntervalS: 1 }): Promise<Fleet> {
  await using stack = new AsyncDisposableStack()
  const gateway = stack.use(await startGateway({ ...config, registry: { embedded: { address: '127.0.0.1:0' }, ...config.registry } }))
  const hosts: ServiceStackHost[] = []
  for (const options of hostOptions) {
    const host = stack.use(await startServiceStackHost(options))
    hosts.push(host)
    await registerAsPlugin(gateway.embedded!, host, plugin)
    const open = host.tags.find(tag => host.operations.some(operation => operation.name === tag && operation.restrictTo === undefined))
    await gateway.waitForEndpoint(host.url)
    if (open !== undefined) await gateway.waitForRoute(open)
  }
  const owned = stack.move()
  return { gateway, hosts, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

export interface OriginFleet extends AsyncDisposable {
  readonly gateway: TestGateway
  readonly origins: Origin[]
  /** The first of them. */
  readonly origin: Origin
}

/** Scripted origins are for what stands below the cache, which would ask them once for all. */
const uncached = { policy: { cache: { mode: 'off' as const } } }

/** Plain origins as one fixed upstream `origin` that has the messages Echo and Other. Ready when each of them gets traffic. */
export async function startOrigins (behaviours: Behaviour[], config: PartialConfig = {}, options: { basePath?: string } = {}): Promise<OriginFleet> {
  await using stack = new AsyncDisposableStack()
  const origins: Origin[] = []
  for (const behaviour of behaviours) origins.push(stack.use(await startOrigin(behaviour)))
  const upstream = (config.upstreams as Record<string, object> | undefined)?.['origin']
  const gateway = stack.use(await startGateway({
    ...config,
    upstreams: { ...config.upstreams, origin: { endpoints: origins.map(({ url }) => url + (options.basePath ?? '')), ...upstream } },
    messages: { Echo: { upstream: 'origin', ...uncached }, Other: { upstream: 'origin', ...uncached }, ...config.messages }
  } as PartialConfig))
  await gateway.waitForRoute('Echo')
  for (const { url } of origins) await gateway.waitForEndpoint(url + (options.basePath ?? ''))
  const owned = stack.move()
  return { gateway, origins, origin: origins[0]!, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
