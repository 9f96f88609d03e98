// A gateway and its origin that fill the cache with answers of one kind, and say what that took and what the cache counted: for the test of its bound.
import { once } from 'node:events'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startGateway, type PartialConfig } from '../support/gateway.ts'

const collect = globalThis.gc!
const kinds = {
  small: { entries: 4_000, body: 'x'.repeat(700), headers: (): Array<[string, string]> => [['Content-Type', 'application/json'], ['Server', 'Kestrel']], policy: {} },
  // Every one with tags, a validator, a list of headers that select it, and a request that is kept to be sent again.
  laden: {
    entries: 3_000,
    body: 'x'.repeat(700),
    headers: (id: number): Array<[string, string]> => [['ETag', `"${id}-0123456789abcdef"`], ['Vary', 'Accept-Language, X-Tenant'], ['Cache-Tag', `order-${id} orders customer-${id % 100}`], ['Age', '1'], ['X-Trace', `${id} `.repeat(200)]],
    policy: { refillAfterPurge: true, invalidates: [{ message: 'GetOrder', property: 'Id' }] }
  },
  large: { entries: 800, body: 'x'.repeat(20_000), headers: (): Array<[string, string]> => [['Content-Type', 'application/json']], policy: {} }
}

const { entries, body, headers, policy } = kinds[process.argv[2] as keyof typeof kinds]
const warmUp = 500

// It keeps nothing of what it was asked.
const origin = createServer((request, response) => {
  const id = Number(new URL(request.url!, 'http://origin').searchParams.get('Id'))
  response.writeHead(200, [...headers(id), ['Cache-Control', 'max-age=600'], ['Content-Length', String(body.length)]].flat()).end(body)
}).listen(0, '127.0.0.1')
await once(origin, 'listening')
const originUrl = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`
const config: PartialConfig = { upstreams: { Shop: { endpoints: [originUrl] } }, messages: { GetOrder: { upstream: 'Shop' } }, defaults: { policy: { cache: policy } }, cache: { messageSharePercent: 100 } }
const gateway = await startGateway(config)
await gateway.waitForEndpoint(originUrl)

async function ask (from: number, to: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  let id = from
  const one = async (path: string) => await new Promise<void>((resolve, reject) => {
    get(`${gateway.url}${path}`, { agent, headers: { 'Accept-Language': 'en', 'User-Agent': 'cache-memory' } }, answer => { answer.resume().on('end', resolve) }).on('error', reject)
  })
  await Promise.all(Array.from({ length: 8 }, async () => { while (id < to) await one(`/json/reply/GetOrder?Id=${id++}`) }))
  agent.destroy()
}

interface Taken { readonly liveBytes: number, readonly countedBytes: number, readonly entries: number }

/** When no collection finds anything more: what was closed goes over several turns of the loop. */
async function taken (): Promise<Taken> {
  let liveBytes = Infinity
  for (let idle = 0; idle < 5; idle++) {
    await new Promise(resolve => { setTimeout(resolve, 100) })
    collect()
    const { heapUsed, external } = process.memoryUsage()
    if (heapUsed + external < liveBytes - 16_384) idle = 0
    liveBytes = Math.min(liveBytes, heapUsed + external)
  }
  return { liveBytes, countedBytes: await gateway.metric('postern_cache_bytes'), entries: await gateway.metric('postern_cache_entries') }
}

await ask(0, warmUp)
const before = await taken()
await ask(warmUp, warmUp + entries)
const after = await taken()
process.stdout.write(JSON.stringify({ liveBytes: after.liveBytes - before.liveBytes, countedBytes: after.countedBytes - before.countedBytes, entries: after.entries - before.entries, asked: entries }))
await gateway.close()
origin.close()
origin.closeAllConnections()
