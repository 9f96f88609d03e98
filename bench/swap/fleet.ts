// A large fleet that changes on demand: its Consul catalogue (blocking queries included) and what its hosts say of themselves.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FleetOptions {
  readonly messages: number
  readonly endpoints: number
  /** Origin that all endpoints share; each has a base path of its own below it. Undefined: the fleet's own server. */
  readonly origin?: string
  /** Port of the catalogue and of the hosts' answers about themselves; 0 = any. */
  readonly port: number
}

export interface Fleet {
  readonly port: number
  readonly services: number
  /** Names of the messages of a service now. */
  messagesOf (service: number): string[]
  /** Replaces these services: new processes at the same addresses, half of the messages renamed. The catalogue tells whoever waits. */
  replace (services: readonly number[]): void
  close (): Promise<void>
}

const endpointsPerService = 5

/** How many services so many endpoints are, and how many messages each of them has. */
export const shapeOf = ({ messages, endpoints }: Pick<FleetOptions, 'messages' | 'endpoints'>): { readonly services: number, readonly perService: number } => {
  const services = Math.max(1, Math.floor(endpoints / endpointsPerService))
  return { services, perService: Math.floor(messages / services) }
}

/** Messages of a service that was replaced `generation` times: every other one got a new name each time. */
export const namesOf = (service: number, perService: number, generation: number): string[] =>
  Array.from({ length: perService }, (_, message) => `Call${service}Number${message}${message % 2 === 0 ? '' : `V${generation}`}`)

/** Starts the fleet. Services have five endpoints each, and equal shares of the messages. */
export const startFleet = async ({ messages, endpoints, origin, port: wantedPort }: FleetOptions): Promise<Fleet> => {
  const { services, perService } = shapeOf({ messages, endpoints })
  const generations = new Array<number>(services).fill(0)
  const ids = Array.from({ length: services * endpointsPerService }, (_, endpoint) => newId(Math.floor(endpoint / endpointsPerService)))
  /** Each with what stands before it in the list. */
  const entries = new Array<Buffer>(ids.length)
  const waiting = new Set<() => void>()
  let index = 100
  /** Where the endpoints are; known once the server listens. */
  let at = ''

  const messagesOf = (service: number): string[] => namesOf(service, perService, generations[service]!)
  const write = (service: number): void => {
    const names = messagesOf(service)
    for (let n = 0; n < endpointsPerService; n++) {
      const endpoint = service * endpointsPerService + n
      entries[endpoint] = Buffer.from((endpoint === 0 ? '[' : ',') + JSON.stringify(healthEntry(ids[endpoint]!, `${at}/e${endpoint}/`, names, index)))
    }
  }
  const catalogue = (request: IncomingMessage, response: ServerResponse, url: URL): void => {
    const answer = (): void => {
      waiting.delete(answer)
      clearTimeout(timer)
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': entries.reduce((sum, { length }) => sum + length, 1), 'x-consul-index': index, 'x-consul-knownleader': 'true', 'x-consul-lastcontact': 0 })
      // As it lies there: one text of 16 MB, made twice a second, would keep the machine busy.
      response.cork()
      for (const entry of entries) response.write(entry)
      response.end(']')
      response.uncork()
    }
    const waitMs = toMilliseconds(url.searchParams.get('wait') ?? '5m')
    const timer = setTimeout(answer, waitMs)
    request.on('close', () => { waiting.delete(answer); clearTimeout(timer) })
    if (Number(url.searchParams.get('index') ?? 0) < index) answer()
    else waiting.add(answer)
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://fleet')
    const host = /^\/e(\d+)\/(.*)$/.exec(url.pathname)
    const endpoint = Number(host?.[1])
    if (url.pathname === '/v1/health/service/api') catalogue(request, response, url)
    else if (url.pathname === '/v1/agent/self') send(response, 200, { Config: { NodeName: 'bench' }, Member: { Name: 'bench' } })
    else if (host?.[2] === 'operations/metadata') send(response, 200, messagesOf(Math.floor(endpoint / endpointsPerService)).map(operation))
    else if (host?.[2] === 'json/reply/ServiceRegistration') send(response, 200, { id: ids[endpoint], name: 'api' })
    else if (host?.[2] === 'json/reply/Heartbeat') send(response, 200, {})
    else send(response, 404, {})
  })
  server.keepAliveTimeout = 60_000
  server.listen({ port: wantedPort, host: '127.0.0.1', backlog: 4_096 })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  at = origin ?? `http://127.0.0.1:${port}`
  for (let service = 0; service < services; service++) write(service)

  return {
    port,
    services,
    messagesOf,
    replace (changed) {
      index++
      for (const service of changed) {
        generations[service]!++
        for (let n = 0; n < endpointsPerService; n++) ids[service * endpointsPerService + n] = newId(service)
        write(service)
      }
      for (const answer of [...waiting]) answer()
    },
    async close () {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

const newId = (service: number): string => `ss-Bench${service}-${randomUUID()}`

const send = (response: ServerResponse, status: number, value: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'x-powered-by': 'ServiceStack/10.15 NET10/Linux' })
  response.end(JSON.stringify(value))
}

const operation = (name: string) => ({ name, responseName: `${name}Response`, serviceName: 'BenchServices', actions: ['ANY'], routes: [], tags: [] })

/** An element of /v1/health/service/api as Consul 1.8 writes it for the plugin's registrations. */
const healthEntry = (id: string, address: string, names: readonly string[], index: number) => ({
  Node: { ID: '279626dc-d43b-d439-9bf9-1dd9eac5044c', Node: 'bench', Address: '127.0.0.1', Datacenter: 'dc1', TaggedAddresses: { lan: '127.0.0.1' }, Meta: {}, CreateIndex: 11, ModifyIndex: 12 },
  Service: { ID: id, Service: 'api', Tags: ['ss-version-1.0', ...names], Address: address, Meta: null, Port: Number(new URL(address).port), Weights: { Passing: 1, Warning: 1 }, EnableTagOverride: false, CreateIndex: index, ModifyIndex: index },
  Checks: [{ Node: 'bench', CheckID: `${id}:SS-Heartbeat`, Name: 'SS-Heartbeat', Status: 'passing', Notes: '', Output: 'HTTP GET: 200 OK Output: {}', ServiceID: id, ServiceName: 'api', ServiceTags: ['ss-version-1.0', ...names], Type: 'http', Definition: {}, CreateIndex: index, ModifyIndex: index }]
})

const toMilliseconds = (wait: string): number => {
  const [, amount = '300', unit = 's'] = /^(\d+)(ms|s|m)$/.exec(wait) ?? []
  return Number(amount) * (unit === 'ms' ? 1 : unit === 's' ? 1_000 : 60_000)
}
