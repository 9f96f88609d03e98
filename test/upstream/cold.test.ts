// Endpoints of which nobody has heard for a while and to which no connection is open: who is asked before a call goes there, and where the call goes meanwhile.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test, type TestContext } from 'node:test'
import { upstreamFor } from '../../src/config/resolve.ts'
import { validate } from '../../src/config/validator.ts'
import { Attempt } from '../../src/exchange/attempt.ts'
import type { Endpoint } from '../../src/upstream/endpoint.ts'
import { BreakerClock } from '../../src/upstream/breaker-clock.ts'
import { freshMs } from '../../src/upstream/doubts.ts'
import { Upstream } from '../../src/upstream/upstream.ts'
import { endpointPlan } from '../support/endpoint-plan.ts'
import { makeExchange, policy } from '../support/exchange.ts'
import { until } from '../support/until.ts'
import { answer, endpointAt, listen, raw, read } from './endpoint-at.ts'

/** Hosts that take connections, and a clock of the test's own. */
async function start (t: TestContext, { hosts = 5, servicestack = true } = {}) {
  let nowMs = 100_000
  t.mock.method(performance, 'now', () => nowMs)
  const ports = await Promise.all(Array.from({ length: hosts }, () => listen(t, net.createServer(socket => { socket.on('error', () => {}) }))))
  const asked: Array<{ url: string, why: string, answer: () => void }> = []
  const endpoints = ports.map(port => endpointPlan(`http://127.0.0.1:${port}`))
  const upstream = new Upstream({ name: 'shop', endpoints, levels: [], apiForm: true, servicestack, lists: 'read' }, upstreamFor(validate({}).config, 'shop'), new BreakerClock(), {
    breaker () {},
    endpoint: url => ({ breaker () {}, reachable () {}, doubted () {}, whoIsThere: why => new Promise(resolve => asked.push({ url, why, answer: resolve })), lost: () => Promise.resolve(), attempt () {}, paused () {}, ejected () {} })
  })
  t.after(() => upstream.close())
  const pass = (ms: number) => { nowMs += ms }
  return { upstream, asked, pass, isAsked: (count: number) => until('they are asked', () => asked.length === count) }
}

test('while its last word is fresh nobody is asked', async t => {
  const { upstream, pass } = await start(t)
  pass(freshMs)
  assert.notEqual(upstream.pick(makeExchange()), undefined)
  assert.equal(upstream.asked(makeExchange()), undefined)
})

test('what is no host is never asked', async t => {
  const { upstream, pass } = await start(t, { servicestack: false })
  pass(10 * freshMs)
  assert.notEqual(upstream.pick(makeExchange()), undefined)
  assert.equal(upstream.asked(makeExchange()), undefined)
})

test('where all are cold a call has three asked and waits for the first of them; then that one is preferred, and another one asked beside it', async t => {
  const { upstream, asked, pass, isAsked } = await start(t)
  pass(freshMs + 1)
  const call = makeExchange()
  assert.equal(upstream.pick(call), undefined)
  const word = upstream.asked(call)
  await isAsked(3)
  assert.deepEqual([new Set(asked.map(({ url }) => url)).size, ...asked.map(({ why }) => why)], [3, 'cold', 'cold', 'cold'])
  asked[1]!.answer()
  await word
  // Of the two that nobody has asked yet each is drawn before long.
  await until('the others are asked', () => { assert.equal(upstream.pick(makeExchange())?.url, asked[1]!.url); return asked.length === 5 })
  for (const { answer } of asked) answer()
  await until('all are back', () => upstream.asked(call) === undefined)
  for (let n = 0; n < 20; n++) assert.notEqual(upstream.pick(makeExchange()), undefined)
  assert.equal(asked.length, 5)
})

test('a further attempt too goes to one that has spoken lately', async t => {
  const { upstream, asked, pass, isAsked } = await start(t, { hosts: 3 })
  pass(freshMs + 1)
  upstream.pick(makeExchange())
  await isAsked(3)
  for (const { answer } of asked) answer()
  await until('all are back', () => upstream.asked(makeExchange()) === undefined)
  pass(freshMs + 1)
  const [tried, ...others] = upstream.endpoints as [Endpoint, ...Endpoint[]]
  const word = others[0]!
  word.askAnew()
  await isAsked(4)
  asked[3]!.answer()
  await until('it is back', () => word.usable)
  for (let n = 0; n < 20; n++) {
    const call = makeExchange()
    call.attempts.push(new Attempt(tried, call))
    assert.equal(upstream.pick(call), word)
  }
})

test('what is bound to one endpoint by its hash waits for the word of that one', async t => {
  const { upstream, asked, pass, isAsked } = await start(t)
  const call = () => makeExchange({ policy: { balancer: { ...policy.balancer, strategy: 'hash', stickTo: 'client' } } })
  const bound = upstream.pick(call())?.url
  pass(freshMs + 1)
  assert.equal(upstream.pick(call()), undefined)
  await isAsked(1)
  // So does every other call that belongs to it.
  assert.equal(upstream.pick(call()), undefined)
  asked[0]!.answer()
  await upstream.asked(call())
  assert.deepEqual([upstream.pick(call())?.url, asked.map(({ url }) => url)], [bound, [bound]])
})

test('what is only asked is no reason to give its part to others', async t => {
  const { upstream, asked, pass, isAsked } = await start(t, { hosts: 1 })
  pass(freshMs + 1)
  upstream.pick(makeExchange())
  await isAsked(1)
  const [only] = upstream.endpoints as [Endpoint]
  assert.deepEqual([only.usable, only.expected, upstream.isUsable()], [false, true, true])
  only.eject('slow', Infinity)
  assert.equal(upstream.isUsable(), false)
  asked[0]!.answer()
})

test('an open connection is word enough; from its end on the time counts', async t => {
  const port = await raw(t, socket => socket.write(answer('ok')))
  let nowMs = 100_000
  t.mock.method(performance, 'now', () => nowMs)
  const endpoint = endpointAt(t, port)
  endpoint.isHost = true
  await read(await endpoint.send(makeExchange()))
  nowMs += freshMs + 1
  assert.deepEqual([endpoint.idleConnections, endpoint.isCold], [1, false])
  // What was not needed since the last time is let go.
  endpoint.trim()
  endpoint.trim()
  await until('the connection is gone', () => endpoint.idleConnections === 0)
  assert.equal(endpoint.isCold, false)
  nowMs += freshMs + 1
  assert.equal(endpoint.isCold, true)
})
