// What of an endpoint's answers and connections is reason to ask who is there, and what becomes of calls meanwhile.
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { compose } from '../../src/exchange/compose.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import { pickEndpoint } from '../../src/filters/pick-endpoint.ts'
import { Doubts } from '../../src/upstream/doubts.ts'
import { fakeEndpoint, makeExchange } from '../support/exchange.ts'
import { until } from '../support/until.ts'
import { answer, code, endpointAt, raw, read } from './endpoint-at.ts'

const host = ['Vary', 'Accept', 'X-Powered-By', 'ServiceStack/10.15 NET10/Linux/net10/NO', 'Date', 'x']
const other = ['Content-Type', 'text/html', 'X-Powered-By', 'Express']

for (const [sentence, isHost, answers, doubted] of [
  ['an answer like the one before', true, [[200, host], [404, host], [500, host], [304, host]], false],
  ['one that no longer says who wrote it', true, [[200, host], [200, other]], true],
  ['one without any field', true, [[200, host], [502, []]], true],
  ['one that never said so', true, [[200, other], [500, other]], false],
  ['a 404 that a host would not give', true, [[404, other]], true],
  ['a switch of protocols', true, [[200, host], [101, []]], false],
  ['an operation that does not exist', true, [[405, host]], true],
  ['the same of what is no host', false, [[405, other]], true],
  ['whatever else that says', false, [[200, host], [404, other]], false]
] as ReadonlyArray<readonly [string, boolean, ReadonlyArray<readonly [number, readonly string[]]>, boolean]>) {
  test(`${sentence} is ${doubted ? 'a' : 'no'} reason to ask who is there`, () => {
    const doubts = new Doubts()
    assert.equal(answers.some(([status, headers]) => doubts.byAnswer(status, headers, isHost)), doubted)
    assert.equal(doubts.byAnswer(405, other, isHost), !doubted, 'not again at once')
  })
}

test('a connection that ends is a reason, not again at once, but for one that was gone indeed', () => {
  const doubts = new Doubts()
  assert.deepEqual([doubts.byCut(false), doubts.byCut(false)], [true, false])
  doubts.confirmed()
  assert.equal(doubts.byCut(false), true)
})

test('the end of the last connection is a reason again after a second, that of one of several is not', t => {
  let nowMs = 10_000
  t.mock.method(performance, 'now', () => nowMs)
  const doubts = new Doubts()
  assert.deepEqual([doubts.byCut(true), doubts.byCut(true)], [true, false])
  nowMs += 1_001
  assert.deepEqual([doubts.byCut(false), doubts.byCut(true), doubts.byCut(true)], [false, true, false])
  nowMs += 5_001
  assert.equal(doubts.byCut(false), true)
})

test('a host that closes a connection it had kept is asked who it is; what is no host, is not', async t => {
  const sockets: Socket[] = []
  const port = await raw(t, socket => { sockets.push(socket); socket.write(answer('ok')) })
  const [endpoint, plain] = [endpointAt(t, port), endpointAt(t, port)]
  endpoint.isHost = true
  for (const one of [endpoint, plain]) await read(await one.send(makeExchange()))
  for (const socket of sockets.splice(0)) socket.end()
  await until('it was asked', () => endpoint.events.includes('returning') && endpoint.usable)
  await until('the other one has noticed', () => plain.idleConnections === 0)
  assert.deepEqual([endpoint.events, plain.events], [['success', 'returning'], ['success']])
})

test('calls that have nowhere else to go wait for the word of an endpoint, and no longer than their own time', async () => {
  const { promise: asking, resolve } = Promise.withResolvers<void>()
  let isKnown = false
  const endpoint = fakeEndpoint('http://a.test', () => Promise.reject(new GatewayError('ConnectFailed')))
  const upstream = { pick: () => isKnown ? endpoint : undefined, asked: () => isKnown ? undefined : asking }
  const path = compose([pickEndpoint], async exchange => { throw new GatewayError('BadAnswer', { detail: { endpoint: exchange.endpoint?.url } }) })
  const [one, left] = [makeExchange({ upstream }), makeExchange({ upstream })]
  const waiting = path(one)
  const leaving = path(left)
  assert.equal(one.waitsFor, 'endpoint to say who it is')
  left.end(new GatewayError('DeadlineExceeded'))
  await assert.rejects(leaving, code('DeadlineExceeded'))
  isKnown = true
  resolve()
  await assert.rejects(waiting, code('BadAnswer'))
  await assert.rejects(async () => await path(makeExchange({ upstream: { pick: () => undefined } })), code('NoEndpoint'))
})
