// How long one call waits for a server that is there and does not answer: by the clock that ends the wait, so that no load on the machine counts.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { SecondLevel, type SecondLevelConfig, type Wanted } from '../../../src/cache/second-level/second-level.ts'
import { validate } from '../../../src/config/validator.ts'
import { until } from '../../support/until.ts'
import { byDefault, requestOf } from '../support.ts'

// Loaded before timers are mocked.
await import('@redis/client')

/** Says all that makes a gateway trust it, and never what it has stored. */
async function startMute (): Promise<{ readonly url: string, [Symbol.asyncDispose]: () => Promise<void> }> {
  const sockets = new Set<Socket>()
  const listening = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => { socket.destroy() })
    socket.on('data', data => {
      for (const [, command] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)) {
        if (command === 'PING') socket.write('+PONG\r\n')
        else if (command === 'EXISTS') socket.write(':0\r\n')
        else if (command === 'XRANGE' || command === 'XREVRANGE') socket.write('*0\r\n')
        else if (command === 'XADD') socket.write('$3\r\n1-0\r\n')
        else if (command === 'XREAD') listening.add(socket)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const nothingNew = setInterval(() => {
    for (const socket of listening) socket.write('*-1\r\n')
    listening.clear()
  }, 20)
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      clearInterval(nothingNew)
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    }
  }
}

test('no longer than cache.secondLevel.timeoutMs, whatever a call has waited before; after three times in a row not at all', { timeout: 60_000 }, async t => {
  await using server = await startMute()
  const config = validate({ cache: { secondLevel: { url: server.url } } }).config.cache.secondLevel as SecondLevelConfig
  const wanted: Wanted = { place: { key: 'key', target: '/', upstream: 'Shop', message: 'GetOrder', reached: [], ownTags: [] }, request: requestOf(), rules: byDefault, guard: byDefault.guard, again: undefined }
  const second = new SecondLevel(config, { purged () {}, missedPurges () {}, shared () {}, state () {} })
  t.after(async () => { await second.close() })
  second.start()
  await until('it is asked', () => second.up)
  assert.equal(config.timeoutMs, 20)
  while (!second.up) await turn()
  assert.equal(second.read(wanted, 20), undefined, 'nothing is left')
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const spentMs of [0, 15, 0, 19, 0]) {
    let over = false
    while (!second.up) await turn()
    const reading = second.read(wanted, spentMs)!.then(found => {
      over = true
      return found
    })
    t.mock.timers.tick(config.timeoutMs - spentMs - 1)
    await turn()
    assert.equal(over, false, `${spentMs} ms spent, and it has not waited so long yet`)
    t.mock.timers.tick(1)
    assert.equal(await reading, undefined)
  }
  assert.equal(second.reads.timeout, 5)
  assert.equal(second.read(wanted), undefined, 'nobody asks it any more')
})
