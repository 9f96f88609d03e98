// Where an exchange that has waited goes by the table in force: which endpoints it keeps, and when it goes on at another upstream.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import type { Exchange, Route, UpstreamHandle } from '../../src/exchange/exchange.ts'
import type { Rest } from '../../src/exchange/selection.ts'
import { anew } from '../../src/exchange/anew.ts'
import { isElsewhere, isSpared, move, renew } from '../../src/exchange/follow.ts'
import { makeExchange, type ExchangeOptions } from '../support/exchange.ts'

const [a, b, c] = ['http://a.test', 'http://b.test', 'http://c.test']

/** An exchange for endpoints a and b, of a message of which the table says something else by now; undefined: nothing. */
function waiting (now: ((own: Route, other: UpstreamHandle) => Partial<Route> | undefined) | undefined, options: ExchangeOptions = {}): Exchange {
  const released: string[] = []
  const exchange = makeExchange({ endpoints: new Set([a, b]), ...options, upstream: { release: () => { released.push('orders') } } })
  const { upstream: other } = makeExchange({ upstream: { name: 'billing', apiForm: false } })
  const said = now?.(exchange.route, other)
  const inForce = said === undefined ? undefined : { ...exchange.route, ...said }
  const route = { ...exchange.route, inForce: () => inForce }
  return Object.assign(exchange, { route, follows: route, slot: exchange.upstream })
}
const endpointsOf = ({ endpoints }: Exchange) => endpoints === undefined ? 'any' : [...endpoints].map(url => url.slice(7, 8)).join('')

for (const [sentence, exchange, endpoints] of [
  ['it keeps what its message has still', waiting(() => ({ endpoints: new Set([b, c]) })), 'bc'],
  ['all of the upstream where its message has all by now', waiting(() => ({ endpoints: undefined })), 'any'],
  ['nothing where there is no such message any more', waiting(() => undefined), ''],
  ['nothing where its message is another upstream\'s', waiting((_, other) => ({ upstream: other, endpoints: new Set([c]) })), ''],
  ['the part of a split that it was sent to, as far as that has the message still', Object.assign(waiting(() => ({ endpoints: new Set([b, c]) })), { part: { name: 'canary', done () {} } }), 'b'],
  ['the same for a task of its own that goes on from there', anew(Object.assign(waiting(() => ({ endpoints: new Set([b, c]) })), { part: { name: 'canary', done () {} } })), 'b'],
  ['what it has where it went elsewhere on purpose', Object.assign(waiting(() => undefined), { degradedBy: new GatewayError('BreakerOpen') }), 'ab'],
  ['so does a copy', Object.assign(waiting(() => undefined), { isMirrored: true }), 'ab'],
  ['and what is no message\'s', makeExchange({ endpoints: new Set([a, b]) }), 'ab']
] as const) {
  test(`an exchange that has waited keeps: ${sentence}`, () => {
    renew(exchange)
    assert.equal(endpointsOf(exchange), endpoints)
    renew(exchange)
    assert.equal(endpointsOf(exchange), endpoints, 'the same when asked again')
  })
}

test('its message is elsewhere where another upstream has it, and nowhere else', () => {
  const exchanges = [waiting((_, other) => ({ upstream: other })), waiting(() => ({ endpoints: new Set([c]) })), waiting(() => undefined), makeExchange()]
  assert.deepEqual(exchanges.map(isElsewhere), [true, false, false, false])
})

test('it goes on at the upstream that has its message by now, with all that this one has of it, and once', () => {
  const exchange = waiting((_, other) => ({ upstream: other, endpoints: new Set([c]) }))
  exchange.lastError = new GatewayError('ConnectFailed')
  renew(exchange)
  assert.equal(move(exchange), true)
  assert.deepEqual([exchange.upstream.name, endpointsOf(exchange), exchange.slot, exchange.lastError], ['billing', 'c', undefined, undefined])
  assert.equal(move(exchange), false)
  renew(exchange)
  assert.deepEqual([exchange.upstream.name, endpointsOf(exchange)], ['billing', 'c'])
})

/** Drawn by a split of orders for a share of billing, of which nobody may be called unless `isUsable`. */
function drawn (isUsable = false, spare: Rest = { outside: [], versions: 'all', takeoverMs: 0 }): Exchange {
  const exchange = waiting(() => ({}))
  Object.assign(exchange.upstream, { selectRest: () => new Set([b]) })
  const { upstream } = makeExchange({ upstream: { name: 'billing', isUsable: () => isUsable } })
  return Object.assign(exchange, { upstream, endpoints: new Set([c]), spare, slot: upstream })
}

test('what a split had drawn for another upstream goes back to the rest where nobody of that one may be called, once', () => {
  const exchange = drawn()
  assert.deepEqual([isSpared(exchange), isElsewhere(exchange), move(exchange)], [true, true, true])
  assert.deepEqual([exchange.upstream.name, endpointsOf(exchange), exchange.slot, isElsewhere(exchange), move(exchange)], ['orders', 'b', undefined, false, false])
  for (const staying of [drawn(true), Object.assign(drawn(), { spare: undefined })]) assert.deepEqual([isElsewhere(staying), move(staying), staying.upstream.name], [false, false, 'billing'])
})

for (const [sentence, exchange] of [
  ['its message has stayed', waiting(() => ({ endpoints: new Set([c]) }))],
  ['nobody has its message', waiting(() => undefined)],
  ['the hosts there do not know the form of its path', waiting((_, other) => ({ upstream: other }), { path: '/api/GetOrder?Id=5' })],
  ['it came by a path of the first service\'s own', (() => { const moved = waiting((_, other) => ({ upstream: other })); return Object.assign(moved, { route: { ...moved.route, kind: 'custom' } }) })()]
] as const) {
  test(`it does not where ${sentence}`, () => {
    assert.deepEqual([move(exchange), exchange.upstream.name], [false, 'orders'])
  })
}
