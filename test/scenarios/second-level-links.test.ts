// The way to the second level: over TLS, cut for longer than its stream of purges goes back, and to nowhere at all.
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { makeCertificate, type TestCertificate } from '../support/certificates.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { targetOf } from '../support/http-client.ts'
import { head, write, type HeaderList } from '../support/raw-server.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { until } from '../support/until.ts'
import { startValkey, valkeySkip } from '../support/valkey.ts'

const skip = await valkeySkip()
// Without the package a gateway goes on without its second level; here that would be waited for in vain.
await import('@redis/client')

/** In every path of this run: whatever else calls a port that was somebody else's a moment ago is not counted. */
const run = randomUUID()

/** Answers with a new number each time, to be kept for an hour. */
async function startNumbers (): Promise<Origin> {
  let number = 0
  return await startOrigin(async request => {
    const body = request.target.includes(run) ? String(++number) : 'for somebody else'
    await write(request.socket, head(200, 'OK', [['Cache-Control', 'max-age=3600'], ['Cache-Tag', 'all'], ['Content-Length', String(body.length)]]) + body)
  })
}

interface Relay extends AsyncDisposable {
  readonly port: number
  /** Open connections end, and no new one is taken. */
  cut (): void
  mend (): void
}

/** Stands before a server, with TLS where there is a certificate. */
async function startRelay (url: string, certificate?: TestCertificate): Promise<Relay> {
  const sockets = new Set<Socket>()
  let isCut = false
  const relay = (near: Socket) => {
    if (isCut) {
      near.destroy()
      return
    }
    const far = connect(targetOf(url))
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}) // Its close ends the other.
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far).pipe(near)
  }
  const server: Server = certificate === undefined ? createServer(relay) : createTlsServer({ cert: certificate.pem, key: certificate.key }, relay)
  server.on('tlsClientError', () => {}) // Whoever does not trust the certificate.
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const cut = () => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend: () => { isCut = false },
    [Symbol.asyncDispose]: async () => {
      cut()
      await new Promise(resolve => { server.close(resolve) })
    }
  }
}

async function startWith (origin: Origin, url: string): Promise<TestGateway> {
  const gateway = await startGateway({ upstreams: { Shop: { endpoints: [origin.url] } }, messages: { GetOrder: { upstream: 'Shop' } }, cache: { secondLevel: { url, timeoutMs: 5_000 } } } as never)
  await gateway.waitForEndpoint(origin.url)
  return gateway
}
const isUp = async (gateway: TestGateway) => await until('the second level', async () => await gateway.metric('postern_cache_second_level_up') === 1)
const isDown = async (gateway: TestGateway) => await until('the second level not to be asked', async () => await gateway.metric('postern_cache_second_level_up') === 0)
const written = async (gateway: TestGateway, least: number) => await until(`${least} written`, async () => await gateway.metric('postern_cache_second_level_writes_total', { result: 'written' }) >= least)
const order = (id: number) => `/json/reply/GetOrder?Id=${id}&Run=${run}`
const shared = { headers: [['Host', 'shop.test']] as HeaderList }
const text = async (gateway: TestGateway, id: number) => (await gateway.get(order(id), shared)).text()
const purge = async (gateway: TestGateway, body: object) => await gateway.tell('/api/cache/purge', body)
const said = async (gateway: TestGateway, words: string) => (await gateway.log()).filter(({ msg }) => typeof msg === 'string' && msg.includes(words))

describe('the way to the second level', { skip, timeout: 300_000 }, () => {
  test('rediss: over TLS, and only to a server whose certificate is trusted', async t => {
    const certificate = await makeCertificate(['localhost'])
    t.after(certificate.remove)
    await using valkey = await startValkey()
    await using relay = await startRelay(valkey.url, certificate)
    await using origin = await startNumbers()
    const url = `rediss://localhost:${relay.port}`
    {
      await using wary = await startWith(origin, url)
      await until('it says why', async () => (await said(wary, 'second level of the cache is not used')).length > 0)
      assert.equal(await text(wary, 1), '1')
      assert.equal(await wary.metric('postern_cache_second_level_up'), 0)
      assert.equal(await wary.metric('postern_cache_second_level_writes_total', { result: 'written' }), 0)
    }
    const before = getCACertificates('default')
    t.after(() => { setDefaultCACertificates(before) })
    setDefaultCACertificates([...before, certificate.pem])
    await using one = await startWith(origin, url)
    await using other = await startWith(origin, url)
    await isUp(one)
    await isUp(other)
    assert.equal(await text(one, 1), '2')
    await written(one, 1)
    assert.equal(await text(other, 1), '2')
    assert.equal(origin.received.filter(({ target }) => target.includes(run)).length, 2)
  })

  test('cut for longer than the purges go back: everything that was stored is asked for anew', async () => {
    await using valkey = await startValkey()
    await using relay = await startRelay(valkey.url)
    await using origin = await startNumbers()
    await using one = await startWith(origin, valkey.url)
    await using away = await startWith(origin, `redis://127.0.0.1:${relay.port}`)
    await isUp(one)
    await isUp(away)
    assert.equal(await text(one, 1), '1')
    await written(one, 1)
    assert.equal(await text(away, 1), '1')
    relay.cut()
    await isDown(away)
    for (let n = 0; n < 3; n++) await purge(one, { tag: n === 0 ? 'all' : `other-${n}` })
    await until('the server has them', async () => /:[3-9]/.test(await valkey.say('XLEN postern:purges')))
    await valkey.say('XTRIM postern:purges MAXLEN 1')
    assert.equal(await text(away, 1), '1', 'it cannot know yet')
    relay.mend()
    await isUp(away)
    // Answers and purges come over connections of their own: the other one may be back a moment later.
    await until('it asks anew', async () => await text(away, 1) !== '1')
    await until('it says so', async () => (await said(away, 'purges of other gateways may have been missed')).at(-1)?.['reason'] === 'away for too many purges')
  })

  test('the stream of purges stays within its length', async () => {
    await using valkey = await startValkey()
    await using origin = await startNumbers()
    // Of another version, to the end of the world: nothing that this gateway would have to carry out.
    const lines = Array.from({ length: 60_000 }, () => 'XADD postern:purges * gateway g floor 1').join('\r\n')
    await valkey.say(lines)
    await using gateway = await startWith(origin, valkey.url)
    await isUp(gateway)
    await purge(gateway, { all: true })
    const length = async () => Number(/^:(\d+)/.exec(await valkey.say('XLEN postern:purges'))?.[1])
    // The server drops whole nodes of some hundred entries.
    await until('it is trimmed', async () => await length() < 51_000)
    assert.ok(await length() >= 50_000)
  })

  test('to nowhere: a server that does not exist, and an address that is none, are nobody\'s error', async () => {
    await using origin = await startNumbers()
    for (const [url, number] of [['redis://127.0.0.1:1', '1'], ['redis://127.0.0.1:99999', '2']] as const) {
      await using gateway = await startWith(origin, url)
      await until('it says why', async () => (await said(gateway, 'second level of the cache is not used')).length > 0)
      assert.equal(await text(gateway, 1), number)
      assert.match((await gateway.get(order(1), shared)).header('cache-status')!, /hit/)
    }
  })
})
