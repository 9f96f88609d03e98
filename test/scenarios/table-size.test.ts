// 20,000 messages over 2,000 endpoints: built, swapped and looked up without a request in flight noticing.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { startFakeConsul, healthEntry } from '../support/fake-consul.ts'
import { startGateway } from '../support/gateway.ts'
import { openConnection, requestBytes } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { startOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'

const services = 400
const endpointsPerService = 5
const messagesPerService = 50
const checks = [{ Node: 'vm', CheckID: 'x', Name: 'x', Status: 'passing', Notes: '', Output: 'HTTP GET 200 OK', ServiceID: 'x', Type: 'http' }]

/** Every address of 127.0.0.0/8 is this machine, so one server is 2,000 endpoints. */
const address = (service: number, n: number) => `127.${1 + (service >> 8)}.${service & 255}.${1 + n}`

function catalog (port: number, revision: number): object[] {
  const entries: object[] = []
  for (let service = 0; service < services; service++) {
    // With every revision one message of each service is another one: the whole table changes.
    const messages = Array.from({ length: messagesPerService }, (_, n) => `Message${service}x${n === 0 ? `r${revision}` : n}`)
    for (let n = 0; n < endpointsPerService; n++) {
      entries.push(healthEntry(`s${service}-${n}`, {
        service: { Service: `service-${service}`, ID: `s${service}-${n}`, Tags: [], Address: address(service, n), Port: port, Meta: { messages: messages.join(' ') }, CreateIndex: service * endpointsPerService + n },
        checks
      }))
    }
  }
  return entries
}

test('the swap of a large table delays no request in flight', { timeout: 120_000 }, async () => {
  await using origin = await startOrigin(async request => {
    if (request.target.startsWith('/json/reply/Message')) await behave.ok('fine')(request)
    else await behave.ok('', { status: 404, reason: 'Not Found' })(request)
  }, { host: '0.0.0.0' })
  const agent = await startFakeConsul()
  try {
    const versions = [catalog(origin.port, 0), catalog(origin.port, 1), catalog(origin.port, 2)]
    agent.list(versions[0]!)
    await using gateway = await startGateway({
      registry: { consul: { agents: [agent.url], services: ['api'] }, allowedNetworks: ['127.0.0.0/8'] }
    } as never)
    await until('the whole table', async () => await gateway.metric('postern_routes', { state: 'routed' }) === services * messagesPerService, { timeoutMs: 60_000, everyMs: 250 })

    const load = { stop: false, calls: 0, longest: 0, failures: [] as string[] }
    const caller = async () => {
      using connection = await openConnection(gateway.url, { timeoutMs: 60_000 })
      while (!load.stop) {
        const started = performance.now()
        connection.send(requestBytes('x', `/json/reply/Message${load.calls % services}x7`))
        const response = await connection.response()
        load.longest = Math.max(load.longest, performance.now() - started)
        load.calls++
        if (response.status !== 200) load.failures.push(response.statusLine)
      }
    }
    const measure = async (act: () => Promise<void>) => {
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      load.longest = 0
      await act()
      delay.disable()
      return { loopMs: delay.max / 1e6, longestMs: load.longest }
    }
    const callers = Array.from({ length: 4 }, caller)
    const quiet: number[] = []
    const swapping: number[] = []
    try {
      await until('warm', () => load.calls > 2_000, { timeoutMs: 20_000 })
      for (const [revision, entries] of versions.entries()) {
        if (revision === 0) continue
        const calls = load.calls
        quiet.push((await measure(async () => { await until('calls without a swap', () => load.calls > calls + 2_000, { timeoutMs: 20_000 }) })).longestMs)
        // The list is written before the measurement starts: stringifying it is the fake agent's, not the gateway's.
        agent.list(entries)
        swapping.push((await measure(async () => {
          await until(`revision ${revision}`, async () => {
            using connection = await openConnection(gateway.url)
            connection.send(requestBytes('x', `/json/reply/Message${services - 1}xr${revision}`))
            return (await connection.response()).status === 200
          }, { timeoutMs: 30_000 })
        })).longestMs)
      }
    } finally {
      load.stop = true
      await Promise.all(callers)
    }
    assert.deepEqual(load.failures, [])
    const noise = Math.max(...quiet)
    const worst = Math.max(...swapping)
    // 10 ms is the promise. What the machine and the load in this same process add is measured without a swap; another 15 ms is for garbage collections.
    assert.ok(worst <= noise + 10 + 15, `longest call ${worst.toFixed(1)} ms while swapping, ${noise.toFixed(1)} ms without`)
    assert.ok(await gateway.metric('postern_table_swaps_total') >= 3)
  } finally {
    await agent.close()
  }
})
