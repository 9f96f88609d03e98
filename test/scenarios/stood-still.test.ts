// A process that stood still for a while (stopped, moved to another host, no CPU left to its quota) takes none of its endpoints for dead.
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Agent, request } from 'node:http'
import { test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import * as behave from '../support/origin.ts'

const connectTimeoutMs = 1_000

test('connections that were being made meanwhile are made, and nobody is out afterwards', { timeout: 60_000 }, async () => {
  await using fleet = await startOrigins([behave.ok(), behave.ok(), behave.ok()], { defaults: { policy: { connectTimeoutMs }, bulkhead: { maxConcurrent: 100 } } })
  const agent = new Agent({ keepAlive: true })
  const call = (path: string) => new Promise<number | undefined>((resolve, reject) => {
    request(fleet.gateway.url + path, { agent, method: 'POST', headers: { 'content-length': 2 } }, answer => answer.resume().on('end', () => resolve(answer.statusCode))).on('error', reject).end('{}')
  })
  try {
    // The callers' connections are there before, so that every new one is the gateway's own.
    const warm = await Promise.all(Array.from({ length: 40 }, () => call('/json/reply/Nobody')))
    assert.deepEqual(new Set(warm), new Set([404]))
    let opened = 0
    const standStill = () => {
      // Once the callers of this turn have been seen to: behind it come the timers, and then only what the sockets have to say.
      if (opened++ === 0) setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3 * connectTimeoutMs))
    }
    subscribe('net.client.socket', standStill)
    const answers = await Promise.all(Array.from({ length: 40 }, () => call('/json/reply/Echo'))).finally(() => unsubscribe('net.client.socket', standStill))
    assert.ok(opened > 0)
    assert.deepEqual(new Set(answers), new Set([200]))
    for (let n = 0; n < 10; n++) assert.equal(await call('/json/reply/Echo'), 200)
    assert.equal(fleet.origins.flatMap(({ received }) => received).filter(({ method }) => method === 'POST').length, 50)
  } finally {
    agent.destroy()
  }
})
