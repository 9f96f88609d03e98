// Which Accept a service gets with what is asked for the cache.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { withRouteAccept } from '../../src/cache/accept.ts'
import { makeExchange } from '../support/exchange.ts'
import { defaults } from './support.ts'

const sent = ['accept', 'text/html', 'X-Own', '1', 'Accept', 'evil/*']
const asked = (canonicalPath: string, kind: 'message' | 'custom' | 'prefix' = 'message', normalizeAccept = true): readonly string[] => {
  const { route, upstreamRequest } = makeExchange()
  return withRouteAccept(sent, { route: { ...route, kind }, upstreamRequest: { ...upstreamRequest, canonicalPath } }, { ...defaults, normalizeAccept })
}

for (const [path, accept] of [
  ['/json/reply/GetOrder', 'application/json'], ['/xml/reply/GetOrder', 'application/xml'], ['/csv/reply/GetOrder', 'text/csv'], ['/html/reply/GetOrder', 'text/html'], ['/jsv/reply/Outer.xml', 'application/jsv'],
  ['/api/GetOrder', 'application/json'], ['/api/GetOrder.csv', 'text/csv'], ['/api/Outer.GetOrder', 'application/json'], ['/x-msgpack/reply/GetOrder', 'application/x-msgpack']
] as const) {
  test(`${path} is asked for as ${accept}`, () => {
    assert.deepEqual(asked(path), ['X-Own', '1', 'Accept', accept])
  })
}

test('a path that says no format, and a message that is told so, keep what the client sent', () => {
  assert.deepEqual(asked('/orders/1', 'custom'), sent)
  assert.deepEqual(asked('/shop/json/reply/GetOrder', 'prefix'), sent)
  assert.deepEqual(asked('/json/reply/GetOrder', 'message', false), sent)
})
