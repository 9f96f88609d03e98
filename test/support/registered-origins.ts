// Origins that a fake Consul lists as one service with the message Echo: who of them gets how much is told by the gateway and seen at the origins.
import { networkInterfaces } from 'node:os'
import { healthEntry, startFakeConsul, type FakeConsul } from './fake-consul.ts'
import { startGateway, type PartialConfig, type TestGateway } from './gateway.ts'
import { ok, startOrigin, type Origin } from './origin.ts'
import { until } from './until.ts'

/** An address that is not loopback, which only the agent's own node may have; undefined = there is none here. */
export const outside = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []).find(({ family, internal }) => family === 'IPv4' && !internal)?.address

interface World extends AsyncDisposable { readonly consul: FakeConsul, readonly gateway: TestGateway, readonly origins: Origin[] }
interface Registered { readonly zone?: string, readonly weights?: object, readonly datacenter?: string, readonly status?: string, readonly node?: string }

export const entryOf = (origin: Origin, n: number, { zone = '', weights = { Passing: 1, Warning: 1 }, datacenter = 'dc1', status = 'passing', node = 'vm' }: Registered): object => healthEntry(`orders-${n}`, {
  service: { Service: 'api', Tags: [], Meta: { messages: 'Echo', zone }, Address: origin.url, Port: origin.port, Weights: weights },
  node: { Node: node, Datacenter: datacenter },
  checks: [{ Node: node, CheckID: `service:${n}`, Status: status, Notes: '', Output: 'said', ServiceID: `orders-${n}`, Type: 'ttl' }]
})

/** Origins registered in a fake Consul. `nodes`: coordinates that it knows. */
export async function startRegistered (registered: readonly Registered[], config: PartialConfig = {}, { host = '127.0.0.1', consul: consulConfig = {}, nodes }: { host?: string, consul?: object, nodes?: object[] } = {}): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const origins: Origin[] = []
  for (let n = 0; n < registered.length; n++) origins.push(stack.use(await startOrigin(ok(), { host })))
  const consul = await startFakeConsul()
  stack.defer(() => consul.close())
  if (nodes !== undefined) consul.coordinates['nodes'] = nodes
  consul.list(registered.map((one, n) => entryOf(origins[n]!, n, one)))
  const gateway = stack.use(await startGateway({ ...config, registry: { allowedNetworks: [`${host}/32`], consul: { agents: [consul.url], ...consulConfig } } } as PartialConfig))
  await gateway.waitForRoute('Echo')
  // Who only stands by has no share to be told.
  for (const [n, { url }] of origins.entries()) if (registered[n]!.status === undefined) await until(`${url} to be in the table`, async () => await balanceOf(gateway, url) !== undefined)
  const owned = stack.move()
  return { consul, gateway, origins, [Symbol.asyncDispose]: async () => { await owned.disposeAsync() } }
}

interface Live { readonly name: string, readonly endpoints: Array<{ readonly url: string, readonly balance: { readonly share: number, readonly why: string, readonly zone?: string, readonly datacenter?: string, readonly rttMs?: number } }> }
export const balanceOf = async (gateway: TestGateway, url: string) => ((await gateway.api('upstreams')).live as Live[]).flatMap(({ endpoints }) => endpoints).find(endpoint => endpoint.url === url)?.balance
/** Until the data plane has it so. */
export const shareIs = async (gateway: TestGateway, origin: Origin, expected: number) => await until(`${origin.url} to get ${expected}`, async () => Math.abs(((await balanceOf(gateway, origin.url))?.share ?? 0) - expected) < 0.02, { timeoutMs: 60_000 })
export const strategy = (balancer: object, more: object = {}): PartialConfig => ({ defaults: { policy: { balancer }, ...more } } as PartialConfig)
