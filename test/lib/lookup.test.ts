import assert from 'node:assert/strict'
import { createServer, connect, type AddressInfo, type LookupFunction } from 'node:net'
import { test } from 'node:test'
import { once } from 'node:events'
import { lookupOf } from '../../src/lib/lookup.ts'

test('a connection goes where the known addresses lead, and asks the resolver only where none are known', async t => {
  const server = createServer(socket => socket.end('here')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const asked: string[] = []
  const system: LookupFunction = (hostname, _options, callback) => { asked.push(hostname); callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), '', 4) }
  const ips: string[] = []
  const lookup = lookupOf(() => ips.length === 0 ? undefined : ips, system)
  const dial = async () => {
    const socket = connect({ host: 'orders.internal', port, lookup })
    try {
      return String((await once(socket, 'data') as [Buffer])[0])
    } catch (error) {
      return (error as NodeJS.ErrnoException).code
    } finally {
      socket.destroy()
    }
  }
  assert.equal(await dial(), 'ENOTFOUND')
  ips.push('127.0.0.1')
  assert.equal(await dial(), 'here')
  assert.deepEqual(asked, ['orders.internal'])
})
