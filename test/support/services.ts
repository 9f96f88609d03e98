// Plain services with versions, tags and messages of their own, named in a services.yaml behind a gateway.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGateway, type PartialConfig, type TestGateway } from './gateway.ts'
import { startOrigin, type Behaviour, type Origin } from './origin.ts'
import { until } from './until.ts'

export interface Service {
  readonly service?: string
  readonly version?: string
  readonly tags?: string[]
  readonly meta?: Record<string, string>
  /** Left out: Echo. */
  readonly messages?: string[]
  readonly behaviour?: Behaviour
}

export interface Services extends AsyncDisposable {
  readonly gateway: TestGateway
  readonly origins: readonly Origin[]
  /** How many calls each origin got since the last look. */
  counts (): number[]
  readonly file: string
  /** Names so many of the services in the file, from the first one on. Resolves when just they get traffic. */
  list (count: number): Promise<void>
  /** Gives one of them another version where it is. Resolves when that is in the table. */
  deploy (index: number, version: string): Promise<void>
}

/** Plain services named in a services.yaml, one origin each. */
export async function startServices (services: readonly Service[], config: PartialConfig, listed = services.length): Promise<Services> {
  await using stack = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'postern-services-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const origins: Origin[] = []
  for (const { behaviour } of services) origins.push(stack.use(await startOrigin(behaviour)))
  const file = join(directory, 'services.yaml')
  const deployed = [...services]
  let written = listed
  const write = async (count = written) => { written = count; await writeFile(file, JSON.stringify(deployed.slice(0, count).map(({ service = 'Orders', messages = ['Echo'], behaviour: _, ...rest }, index) => ({ service, url: origins[index]!.url, messages, ...rest })))) }
  await write(listed)
  const gateway = stack.use(await startGateway({ ...config, registry: { file } }))
  const inPlan = async () => ((await gateway.api('upstreams')).upstreams as Array<{ endpoints: Array<{ url: string, version?: string, traffic: boolean }> }>).flatMap(({ endpoints }) => endpoints).filter(({ traffic }) => traffic)
  const isListed = async (count: number) => { await until('every endpoint is in the table', async () => (await inPlan()).length === count) }
  await isListed(listed)
  const seen = origins.map(() => 0)
  const owned = stack.move()
  return {
    gateway,
    origins,
    file,
    list: async count => { await write(count); await isListed(count) },
    deploy: async (index, version) => {
      deployed[index] = { ...deployed[index], version }
      await write()
      await until(`version ${version} is in the table`, async () => (await inPlan()).some(endpoint => endpoint.url === origins[index]!.url && endpoint.version === version))
    },
    counts: () => origins.map(({ received }, index) => {
      const since = received.length - seen[index]!
      seen[index] = received.length
      return since
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync()
  }
}
