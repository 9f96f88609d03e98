// A gateway with a registry of its own and services that come and go in it, as their operators deploy them. Endpoints take turns.
import assert from 'node:assert/strict'
import { startGateway, type PartialConfig, type TestGateway } from './gateway.ts'
import { request, targetOf } from './http-client.ts'
import { deregister, registerAsPlugin } from './plugin-registration.ts'
import { startServiceStackHost, type ServiceStackHost } from './servicestack-host.ts'
import { until } from './until.ts'

const answer = () => ({ body: {} })
export const get = (name: string) => `/json/reply/${name}`
/** A table must be right within a second; this is how long a loaded machine may take. */
export const aSecond = { everyMs: 5 }

export interface World extends AsyncDisposable {
  readonly gateway: TestGateway
  readonly hosts: ServiceStackHost[]
  /** Starts a host, on the port of one that died where one is given, and registers it. */
  deploy (service: string, messages: readonly string[], port?: number): Promise<ServiceStackHost>
  /** Takes it out as its operator does, by PUT; the process lives on. */
  remove (host: ServiceStackHost): Promise<void>
  /** Sets it to maintenance, or takes that off. */
  maintain (host: ServiceStackHost, enable?: boolean): Promise<void>
  /** Under which upstream a message is routed. */
  ownerOf (message: string): Promise<string | undefined>
  stateOf (id: string): Promise<string | undefined>
}

export async function startWorld (config: PartialConfig = {}): Promise<World> {
  await using stack = new AsyncDisposableStack()
  // Endpoints take turns from the first call on: who is quicker, and how slowly a new process is fed, is not what is tested here.
  const turns = { policy: { balancer: { strategy: 'round-robin' } }, balancing: { slowStartMs: 0 } }
  const gateway = stack.use(await startGateway({ defaults: turns, ...config, registry: { embedded: { address: '127.0.0.1:0' }, ...config.registry } } as PartialConfig))
  const hosts: ServiceStackHost[] = []
  const registry = gateway.embedded!
  const rows = async () => await gateway.api('routes') as { routes: Array<{ message: string, state: string, upstream: string }>, registrations: Array<{ registration: string, state: string }> }
  const owned = stack.move()
  return {
    gateway,
    hosts,
    async deploy (service, messages, port) {
      const host = owned.use(await startServiceStackHost({ service, messages: Object.fromEntries(messages.map(name => [name, answer])), ...(port === undefined ? {} : { port }) }))
      hosts.push(host)
      await registerAsPlugin(registry, host, { heartbeatIntervalS: 1 })
      return host
    },
    remove: host => deregister(registry, host.id),
    async maintain (host, enable = true) {
      const { status } = await request(targetOf(registry), `/v1/agent/service/maintenance/${host.id}?enable=${enable}&reason=deploy`, { method: 'PUT' })
      assert.equal(status, 200)
    },
    ownerOf: async message => (await rows()).routes.find(route => route.message === message && route.state === 'routed')?.upstream,
    stateOf: async id => (await rows()).registrations.find(({ registration }) => registration === id)?.state,
    [Symbol.asyncDispose]: () => owned.disposeAsync()
  }
}

/** The first line of the log that says so. Lines are written behind the calls. */
export const logged = (gateway: TestGateway, message: string) => until(`the log to say: ${message}`, async () => (await gateway.log()).find(({ msg }) => msg === message), { timeoutMs: 15_000 })
