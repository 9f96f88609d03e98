// The configuration is live: a change is taken whole, a mistake changes nothing, what is untouched lives on; and stopping loses nothing.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { startOrigins } from '../support/fleet.ts'
import { openConnection, request, requestBytes } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import { startOrigin } from '../support/origin.ts'
import { until, within } from '../support/until.ts'

const path = '/json/reply/Echo'
const bin = new URL('../../bin/postern.js', import.meta.url).pathname

interface Running extends AsyncDisposable {
  readonly url: string
  readonly file: string
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  readonly exited: Promise<[number | null, string | null]>
  readonly stderr: () => string
  write (config: object | string): Promise<void>
}

/** `postern start --config FILE` as a process of its own. */
async function start (config: object): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-reload-'))
  const file = join(directory, 'postern.yaml')
  const write = async (next: object | string) => {
    await writeFile(`${file}.new`, typeof next === 'string' ? next : JSON.stringify(next, undefined, 2))
    await rename(`${file}.new`, file)
  }
  await write(config)
  const child = spawn(process.execPath, [bin, 'start', '--config', file, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', chunk => { stdout += String(chunk) })
  child.stderr.on('data', chunk => { stderr += String(chunk) })
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exited
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const url = await until('the line that says where it listens', () => {
      if (child.exitCode !== null) throw new Error(`exit ${child.exitCode}: ${stderr}`)
      return /https?:\/\/127\.0\.0\.1:\d+/.exec(stdout)?.[0]
    })
    return { url, file, child, exited, stderr: () => stderr, write, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

describe('a change of the configuration', { timeout: 300_000 }, () => {
  test('comes into force whole, without touching what it does not name', async () => {
    await using fleet = await startOrigins([behave.ok('first')])
    const { gateway, origin } = fleet
    const base = { upstreams: { origin: { endpoints: [origin.url] } }, messages: { Echo: { upstream: 'origin' }, Other: { upstream: 'origin' } } }
    for (let n = 0; n < 5; n++) await gateway.get(path)
    using kept = await gateway.connect()
    kept.send(requestBytes('x', path))
    await kept.response()
    const used = origin.connectionsUsed
    const counted = await gateway.metric('postern_requests_total', { message: 'Echo' })
    origin.behave(behave.drip(10, 40))
    using flying = await gateway.connect()
    flying.send(requestBytes('x', path))
    await flying.head()
    await gateway.reload({ ...base, messages: { ...base.messages, Added: { upstream: 'origin' }, Other: { upstream: 'origin', expose: false } } } as never)
    origin.behave(behave.ok('after'))
    assert.equal((await gateway.get('/json/reply/Added')).text(), 'after')
    assert.equal((await gateway.get('/json/reply/Other')).status, 404)
    kept.send(requestBytes('x', path))
    assert.equal((await kept.response()).text(), 'after', 'the client\'s connection lives on')
    assert.match((await within('the answer in flight ends', 30_000, flying.reader.until('0\r\n\r\n'))).toString(), /9\n/)
    await until('counters live on', async () => await gateway.metric('postern_requests_total', { message: 'Echo' }) >= counted + 1)
    assert.ok(origin.connectionsUsed <= used + 1, 'connections to the endpoint live on')
    await gateway.reload({ ...base, messages: { ...base.messages, echo: { upstream: 'origin', policy: { headersTimeoutMs: 100 } }, Echo: undefined } } as never)
    origin.behave(behave.hang())
    assert.equal((await gateway.post(path, {})).json().responseStatus.errorCode, 'HeadersTimeout', 'new policies hold at once')
  })

  test('rules of the listener and the routes of the same file are in force from the same moment on', async () => {
    await using fleet = await startOrigins([behave.ok()])
    const { gateway, origin } = fleet
    // The path that the origin sees tells the table, X-ss-id whether the listener still removed it.
    const revisions = { old: 'remove', new: 'allow' } as const
    const config = (revision: keyof typeof revisions) => ({
      upstreams: { origin: { endpoints: [origin.url] } },
      edge: { sessionHeaders: revisions[revision] },
      prefixes: { '/x/*': { upstream: 'origin', rewrite: `/${revision}` } }
    }) as never
    await gateway.reload(config('old'))
    origin.received.length = 0
    let [running, calls] = [true, 0]
    const caller = async () => {
      using connection = await gateway.connect({ timeoutMs: 60_000 })
      while (running) {
        connection.send(requestBytes('x', '/x/y', { headers: [['X-ss-id', 'stolen']] }))
        assert.equal((await connection.response()).status, 200)
        calls++
      }
    }
    const callers = Promise.all(Array.from({ length: 4 }, caller))
    const more = async () => {
      const before = calls
      await until('calls between two reloads', () => calls >= before + 20)
    }
    for (let n = 0; n < 5; n++) {
      for (const revision of ['new', 'old'] as const) {
        await more()
        await gateway.reload(config(revision))
      }
    }
    running = false
    await callers
    const seen = new Set(origin.received.map(request => `${request.target} ${request.header('x-ss-id') !== undefined}`))
    assert.deepEqual([...seen].sort(), ['/new/y true', '/old/y false'])
  })

  test('a file that changes is read; a bad one changes nothing and says where it is wrong; SIGHUP reads it too', async () => {
    await using origin = await startOrigin(behave.ok('hello'))
    const base = { upstreams: { origin: { endpoints: [origin.url] } }, messages: { Echo: { upstream: 'origin' } } }
    await using running = await start(base)
    await until('the route', async () => (await request(running.url, path)).status === 200)
    await running.write({ ...base, messages: { ...base.messages, Second: { upstream: 'origin' } } })
    await until('the change is in force', async () => (await request(running.url, '/json/reply/Second')).status === 200)
    await running.write('upstreams:\n  origin:\n    endpoints: [nonsense]\nmessages:\n  Third: { upstream: origin, pollicy: {} }\nlistner: {}\n')
    const complaint = await until('it says where', () => /postern\.yaml:\d+:\d+/.exec(running.stderr())?.[0])
    assert.ok(complaint)
    for (const mistake of ['pollicy', 'listner']) await until(`every mistake is named: ${mistake}`, () => running.stderr().includes(mistake))
    assert.equal((await request(running.url, '/json/reply/Second')).status, 200)
    assert.equal((await request(running.url, '/json/reply/Third')).status, 404)
    await writeFile(running.file, JSON.stringify({ ...base, messages: { ...base.messages, Fourth: { upstream: 'origin' } } }))
    running.child.kill('SIGHUP')
    await until('the next change is in force', async () => (await request(running.url, '/json/reply/Fourth')).status === 200)
    assert.match(await readFile(running.file, 'utf8'), /Fourth/)
  })
})

describe('stopping', { timeout: 300_000 }, () => {
  test('SIGTERM: what is in flight is finished, nothing new is taken, exit 0', async () => {
    await using origin = await startOrigin(behave.drip(15, 40))
    await using running = await start({ upstreams: { origin: { endpoints: [origin.url] } }, messages: { Echo: { upstream: 'origin' } } })
    await until('the route', async () => (await request(running.url, '/json/reply/Echo', { method: 'HEAD' })).status === 200)
    using flying = await openConnection(running.url)
    flying.send(requestBytes('x', path))
    await flying.head()
    running.child.kill('SIGTERM')
    const whole = (await within('the answer in flight ends', 30_000, flying.reader.rest())).toString()
    assert.match(whole, /14\n\r\n0\r\n\r\n$/)
    assert.deepEqual(await within('it exits', 30_000, running.exited), [0, null])
  })

  test('drainMs bounds the wait', async () => {
    await using origin = await startOrigin()
    await using running = await start({ upstreams: { origin: { endpoints: [origin.url] } }, messages: { Echo: { upstream: 'origin' } }, drainMs: 300 })
    await until('the route', async () => (await request(running.url, path)).status === 200)
    origin.behave(behave.hang())
    const before = origin.received.length
    using flying = await openConnection(running.url)
    flying.send(requestBytes('x', path))
    await until('it is upstream', () => origin.received.length > before)
    const started = performance.now()
    running.child.kill('SIGTERM')
    assert.deepEqual(await within('it exits', 30_000, running.exited), [0, null])
    assert.ok(performance.now() - started >= 250)
  })

  test('readiness goes off first', async () => {
    await using fleet = await startOrigins([behave.drip(20, 40)])
    const { gateway } = fleet
    const ready = async () => (await request(gateway.admin, '/readyz')).status
    assert.equal(await ready(), 200)
    using flying = await gateway.connect()
    flying.send(requestBytes('x', path))
    await flying.head()
    const drained = gateway.gateway.drain()
    assert.equal(await ready(), 503)
    assert.equal((await request(gateway.admin, '/livez')).status, 200)
    assert.match((await within('the answer in flight ends, and its connection', 30_000, flying.reader.rest())).toString(), /19\n\r\n0\r\n\r\n$/)
    await drained
  })
})
