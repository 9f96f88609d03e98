// Where checks of the embedded registry go, and where they never do, whoever registered them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { probe } from '../../src/registry/embedded-checks.ts'
import { onThisMachine } from '../support/networks.ts'

const run = async (type: 'http' | 'tcp', target: string) =>
  await probe({ id: 'c', name: 'c', serviceId: '', notes: '', status: 'critical', type, target, method: 'GET', header: [], body: '', intervalMs: 1_000, timeoutMs: 5_000, deregisterAfterMs: 0, tlsSkipVerify: false }, onThisMachine(), new AbortController().signal)

test('to metadata services and the like: neither by address, nor by a redirect', { timeout: 60_000 }, async () => {
  const server = createServer((request, response) => {
    if (request.url === '/away') response.writeHead(302, { Location: 'http://169.254.169.254/latest/meta-data' }).end()
    else response.end('well')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const refused: Array<['http' | 'tcp', string]> = [
      ['http', 'http://169.254.169.254/latest/meta-data'],
      ['http', 'http://[::ffff:169.254.169.254]/'],
      ['http', 'http://2852039166/'],
      ['http', `http://127.0.0.1:${port}/away`],
      ['tcp', '169.254.169.254:80'],
      ['tcp', '[fe80::1]:80']
    ]
    for (const [type, target] of refused) {
      const { status, output } = await run(type, target)
      assert.equal(status, 'critical', target)
      assert.match(output, /no check goes there$/, target)
    }
    for (const [type, target] of [['http', `http://127.0.0.1:${port}/`], ['http', `http://localhost:${port}/`], ['tcp', `127.0.0.1:${port}`]] as const) {
      assert.equal((await run(type, target)).status, 'passing', target)
    }
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
