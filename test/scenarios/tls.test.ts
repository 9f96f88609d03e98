// TLS on the public listener: names, HTTP/1.1 and HTTP/2, a certificate replaced under load, redirect from plain HTTP.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFile, rename } from 'node:fs/promises'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeCertificate, type TestCertificate } from '../support/certificates.ts'
import { startFleet, type Fleet } from '../support/fleet.ts'
import { openConnection, request, requestBytes, targetOf } from '../support/http-client.ts'
import { closedPort } from '../support/origin.ts'
import { until } from '../support/until.ts'
import type { MessageHandler } from '../support/servicestack-host.ts'

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch {
    return false // Said loudly by the skip below.
  }
})()

describe('TLS', { timeout: 300_000, skip: hasOpenssl ? false : 'NO OPENSSL: TLS scenarios did not run' }, () => {
  let fleet: Fleet
  let shop: TestCertificate
  let api: TestCertificate
  let plainPort: number
  before(async () => {
    shop = await makeCertificate(['shop.test'])
    api = await makeCertificate(['*.api.test'])
    plainPort = await closedPort()
    const slow: MessageHandler = async ({ request }) => {
      await sleep(20, undefined, { signal: request.gone }).catch(() => {}) // The caller left.
      return { body: 'ok' }
    }
    fleet = await startFleet([{ messages: { Seen: ({ request }) => ({ body: { headers: request.headers } }), Slow: slow } }], {
      listener: { tls: { certificates: [{ certFile: shop.certFile, keyFile: shop.keyFile }, { certFile: api.certFile, keyFile: api.keyFile }], redirectFrom: `127.0.0.1:${plainPort}` } } as never
    })
  })
  after(async () => {
    await fleet[Symbol.asyncDispose]()
    await Promise.all([shop.remove(), api.remove()])
  })
  const at = () => ({ host: '127.0.0.1', port: Number(new URL(fleet.gateway.url).port) })
  const tls = (servername: string, ca: string) => ({ ...at(), tls: { servername, ca } })
  const served = async (servername: string | undefined, options: { maxVersion?: 'TLSv1.1' | 'TLSv1.2' } = {}) => await new Promise<string>((resolve, reject) => {
    const socket = connectTls({ ...at(), ...servername === undefined ? {} : { servername }, rejectUnauthorized: false, ...options, ...options.maxVersion === undefined ? {} : { minVersion: options.maxVersion, ciphers: 'DEFAULT:@SECLEVEL=0' } }, () => {
      resolve(String(socket.getPeerCertificate().fingerprint256))
      socket.destroy()
    })
    socket.on('error', reject)
  })
  const call2 = async (session: ClientHttp2Session, path: string, authority: string) => await new Promise<{ status: number, headers: Record<string, unknown>, text: string }>((resolve, reject) => {
    const stream = session.request({ ':path': path, ':authority': authority })
    let text = ''
    let head: Record<string, unknown> = {}
    stream.on('response', headers => { head = { ...headers } })
    stream.on('data', chunk => { text += String(chunk) })
    stream.on('end', () => { resolve({ status: Number(head[':status']), headers: head, text }) })
    stream.on('error', reject)
    stream.end()
  })

  test('two names, two certificates, on one listener', async () => {
    assert.match(fleet.gateway.url, /^https:/)
    for (const [name, ca] of [['shop.test', shop.pem], ['one.api.test', api.pem]] as const) {
      const response = await request(tls(name, ca), '/json/reply/GetProduct?Id=1', { headers: [['Host', name]] })
      assert.equal(response.status, 200)
      assert.equal(response.json().id, 1)
    }
    assert.notEqual(await served('shop.test'), await served('two.api.test'))
    assert.equal(await served(undefined), await served('shop.test'), 'the first one answers clients that send no name')
  })

  test('the host is told that the client came by https', async () => {
    const response = await request(tls('shop.test', shop.pem), '/json/reply/Seen', { headers: [['Host', 'shop.test'], ['X-Forwarded-Proto', 'http']] })
    const seen = response.json().headers as Array<[string, string]>
    assert.deepEqual(seen.filter(([name]) => name.toLowerCase() === 'x-forwarded-proto').map(([, value]) => value), ['https'])
    assert.deepEqual(seen.filter(([name]) => name.toLowerCase() === 'x-forwarded-host').map(([, value]) => value), ['shop.test'])
  })

  test('HTTP/2 by ALPN: messages, local replies, many streams on one connection', async () => {
    const session = connectHttp2(`https://127.0.0.1:${at().port}`, { servername: 'shop.test', ca: shop.pem })
    try {
      const answer = await call2(session, '/json/reply/GetProduct?Id=1', 'shop.test')
      assert.equal(session.alpnProtocol, 'h2')
      assert.equal(answer.status, 200)
      assert.equal(JSON.parse(answer.text).id, 1)
      assert.equal(answer.headers['etag'], '"p1-v1"')
      for (const name of ['connection', 'transfer-encoding', 'keep-alive']) assert.equal(answer.headers[name], undefined, name)
      const unknown = await call2(session, '/json/reply/NoSuchMessage', 'shop.test')
      assert.equal(unknown.status, 404)
      assert.equal(JSON.parse(unknown.text).responseStatus.errorCode, 'MessageNotFound')
      const many = await Promise.all(Array.from({ length: 50 }, async (_, n) => await call2(session, `/json/reply/GetProduct?Id=${n}`, 'shop.test')))
      assert.deepEqual(many.map(({ text }) => JSON.parse(text).id), Array.from({ length: 50 }, (_, n) => n))
      const seen = JSON.parse((await call2(session, '/json/reply/Seen', 'shop.test')).text).headers as Array<[string, string]>
      assert.equal(seen.find(([name]) => name.toLowerCase() === 'x-forwarded-host')?.[1], 'shop.test')
      assert.ok(!seen.some(([name]) => name.startsWith(':')))
    } finally {
      session.destroy()
    }
  })

  test('TLS 1.1 is refused', async () => {
    await assert.rejects(served('shop.test', { maxVersion: 'TLSv1.1' }))
    await served('shop.test', { maxVersion: 'TLSv1.2' })
  })

  test('plain HTTP is redirected with 308, path and query kept', async () => {
    const before = fleet.hosts[0]!.calls.length
    const response = await request({ host: '127.0.0.1', port: plainPort }, '/json/reply/GetProduct?Id=1', { headers: [['Host', 'shop.test']] })
    assert.equal(response.status, 308)
    assert.match(response.header('location')!, /^https:\/\/shop\.test(:\d+)?\/json\/reply\/GetProduct\?Id=1$/)
    assert.equal(fleet.hosts[0]!.calls.length, before, 'nothing was called by it')
  })

  test('a certificate replaced under load: no call fails, new connections get the new one', async () => {
    const before = await served('shop.test')
    const next = await makeCertificate(['shop.test'])
    const load = { stop: false, calls: 0, failures: [] as string[] }
    const caller = async (fresh: boolean) => {
      let connection = await openConnection({ ...at(), tls: { servername: 'shop.test', rejectUnauthorized: false } }, { timeoutMs: 120_000 })
      while (!load.stop) {
        try {
          if (fresh) {
            connection.close()
            connection = await openConnection({ ...at(), tls: { servername: 'shop.test', rejectUnauthorized: false } })
          }
          connection.send(requestBytes('shop.test', '/json/reply/Slow'))
          const response = await connection.response()
          load.calls++
          if (response.status !== 200) load.failures.push(response.statusLine)
        } catch (error) {
          load.failures.push(String(error))
        }
      }
      connection.close()
    }
    const session = connectHttp2(`https://127.0.0.1:${at().port}`, { servername: 'shop.test', rejectUnauthorized: false })
    const caller2 = async () => {
      while (!load.stop) {
        const { status } = await call2(session, '/json/reply/Slow', 'shop.test')
        load.calls++
        if (status !== 200) load.failures.push(`h2 ${status}`)
      }
    }
    const callers = [caller(false), caller(false), caller(true), caller2(), caller2()]
    try {
      await until('load is on', () => load.calls > 20)
      // As certificate tools do: each file replaced by renaming, one after the other.
      await copyFile(next.keyFile, `${shop.keyFile}.new`)
      await copyFile(next.certFile, `${shop.certFile}.new`)
      await rename(`${shop.keyFile}.new`, shop.keyFile)
      await rename(`${shop.certFile}.new`, shop.certFile)
      await until('the new certificate is served', async () => await served('shop.test') !== before, { everyMs: 50 })
      const calls = load.calls
      await until('load went on', () => load.calls > calls + 20)
    } finally {
      load.stop = true
      await Promise.all(callers)
      session.destroy()
      await next.remove()
    }
    assert.deepEqual(load.failures, [])
    await served('two.api.test')
  })

  test('plain HTTP on the TLS port is not answered as if it were fine', async () => {
    await assert.rejects(request(targetOf(`http://127.0.0.1:${at().port}`), '/json/reply/GetProduct'))
  })
})
