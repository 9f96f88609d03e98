// Free ports, and waiting until a server on one of them answers.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { request, type Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningProcess } from './stage.ts'

/** Ports of 127.0.0.1 that were free just now, all different. */
export const freePorts = async (count: number): Promise<number[]> => {
  const servers: Server[] = []
  for (let i = 0; i < count; i++) {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
  }
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}

export interface Answer { readonly status: number, readonly body: Buffer }

/** One request, without an agent on a connection of its own. Rejects when there is no complete answer within 2 s. */
export const ask = (port: number, path: string, method = 'GET', body?: Buffer, agent: Agent | false = false): Promise<Answer> => new Promise((resolve, reject) => {
  const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }
  const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent, signal: AbortSignal.timeout(2_000) }, incoming => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('error', reject)
    incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks) }))
  })
  outgoing.on('error', reject)
  outgoing.end(body)
})

/** Waits until `test` holds. Throws when a process ended meanwhile or the time is over, with the last reason. */
export const waitUntil = async (what: string, test: () => Promise<string | undefined>, server: RunningProcess | undefined, limitMs = 15_000): Promise<void> => {
  const end = performance.now() + limitMs
  for (;;) {
    if (server?.ended !== undefined) throw new Error(server.ended)
    const reason = await test().catch((error: unknown) => (error as Error).message)
    if (reason === undefined) return
    if (performance.now() > end) throw new Error(`${what}: not within ${limitMs} ms (${reason})`)
    await sleep(50)
  }
}
