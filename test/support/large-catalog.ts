// A catalog of 2,000 endpoints and 20,000 messages, its services and its callers, in a thread of their own: what they cost is not the gateway's.
import { createServer, type ServerResponse } from 'node:http'
import { parentPort, Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { healthEntry } from './fake-consul.ts'
import { openConnection, requestBytes } from './http-client.ts'
import { ok, startOrigin } from './origin.ts'

export const services = 400
const endpointsPerService = 5
export const messagesPerService = 50
export const revisions = 4

export interface LargeCatalog {
  /** The agent. */
  readonly url: string
  /** Puts a revision into the catalog: one message of every service is another one. */
  list (revision: number): void
  /** Starts calling through the gateway. */
  load (gateway: string): void
  /** Calls so far, and what failed. */
  stats (): Promise<{ calls: number, failures: string[], accepted: number }>
  close (): Promise<void>
}

type Command = { readonly kind: 'list', readonly revision: number } | { readonly kind: 'load', readonly url: string } | { readonly kind: 'stats' } | { readonly kind: 'close' }

/** Starts the thread. */
export async function startLargeCatalog (): Promise<LargeCatalog> {
  const worker = new Worker(new URL(import.meta.url))
  const [{ url }] = await once(worker, 'message') as [{ url: string }]
  const send = (command: Command) => { worker.postMessage(command) }
  return {
    url,
    list: revision => { send({ kind: 'list', revision }) },
    load: url => { send({ kind: 'load', url }) },
    stats: async () => {
      const answer = once(worker, 'message')
      send({ kind: 'stats' })
      const [stats] = await answer as [Awaited<ReturnType<LargeCatalog['stats']>>]
      return stats
    },
    close: async () => {
      const exit = once(worker, 'exit')
      send({ kind: 'close' })
      await exit
    }
  }
}

function catalog (port: number, revision: number): Buffer {
  const checks = [{ Node: 'vm', CheckID: 'x', Name: 'x', Status: 'passing', Notes: '', Output: 'HTTP GET 200 OK', ServiceID: 'x', Type: 'http' }]
  const entries: object[] = []
  for (let service = 0; service < services; service++) {
    const messages = Array.from({ length: messagesPerService }, (_, n) => `Message${service}x${n === 0 ? `r${revision}` : n}`).join(' ')
    for (let n = 0; n < endpointsPerService; n++) {
      // Every address of 127.0.0.0/8 is this machine, so one server is 2,000 endpoints.
      const Address = `127.${1 + (service >> 8)}.${service & 255}.${1 + n}`
      entries.push(healthEntry(`s${service}-${n}`, { service: { Service: `service-${service}`, Tags: [], Address, Port: port, Meta: { messages }, CreateIndex: service * endpointsPerService + n }, checks }))
    }
  }
  return Buffer.from(JSON.stringify(entries))
}

async function run (port: NonNullable<typeof parentPort>): Promise<void> {
  const origin = await startOrigin(async request => await ok('fine')(request), { host: '0.0.0.0' })
  const lists = Array.from({ length: revisions }, (_, revision) => catalog(origin.port, revision))
  const state = { bytes: lists[0]!, index: 2, stopped: false, calls: 0, failures: [] as string[] }
  const waiting = new Set<ServerResponse>()
  const answer = (response: ServerResponse) => {
    waiting.delete(response)
    response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': String(state.index), 'x-consul-knownleader': 'true', 'x-consul-lastcontact': '0' }).end(state.bytes)
  }
  const agent = createServer((request, response) => {
    const url = new URL(request.url!, 'http://agent')
    if (url.pathname === '/v1/agent/self') response.end(JSON.stringify({ Config: { NodeName: 'vm' } }))
    else if (Number(url.searchParams.get('index') ?? 0) < state.index) answer(response)
    else waiting.add(response) // Until the next list: the test is over sooner than any wait.
    response.on('close', () => waiting.delete(response))
  })
  agent.listen(0, '127.0.0.1')
  await once(agent, 'listening')

  const caller = async (url: string) => {
    using connection = await openConnection(url, { timeoutMs: 120_000 })
    while (!state.stopped) {
      connection.send(requestBytes('x', `/json/reply/Message${state.calls % services}x7`))
      const response = await connection.response()
      state.calls++
      if (response.status !== 200) state.failures.push(response.statusLine)
    }
  }
  const callers: Array<Promise<void>> = []
  port.on('message', async (command: Command) => {
    switch (command.kind) {
      case 'list':
        state.bytes = lists[command.revision]!
        state.index++
        for (const response of [...waiting]) answer(response)
        return
      case 'load':
        for (let n = 0; n < 4; n++) callers.push(caller(command.url).catch((error: unknown) => { state.failures.push(String(error)) }))
        return
      case 'stats':
        port.postMessage({ calls: state.calls, failures: state.failures.slice(0, 20), accepted: origin.server.accepted })
        return
      case 'close':
        state.stopped = true
        await Promise.all(callers)
        agent.closeAllConnections()
        agent.close()
        await origin.close()
        port.close()
    }
  })
  port.postMessage({ url: `http://127.0.0.1:${(agent.address() as { port: number }).port}` })
}

if (parentPort !== null) await run(parentPort)
