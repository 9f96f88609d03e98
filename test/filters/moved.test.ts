// What becomes of a call that nobody is left for because endpoints have just died: it waits for the table that is made of that, and goes on where its message is by then.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compose } from '../../src/exchange/compose.ts'
import { GatewayError, type ErrorCode } from '../../src/exchange/errors.ts'
import type { Exchange, Route, UpstreamResponse } from '../../src/exchange/exchange.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { pickEndpoint } from '../../src/filters/pick-endpoint.ts'
import { retry } from '../../src/filters/retry.ts'
import { send } from '../../src/filters/send.ts'
import { fakeEndpoint, makeExchange, policy, type ExchangeOptions } from '../support/exchange.ts'
import { until } from '../support/until.ts'

const ok = (): UpstreamResponse => ({ status: 200, reason: '', headers: [], body: ResponseBody.of(Buffer.from('x')) })

/** A call of a message whose only endpoint has died, and fails so where `fails` says it. `told` makes the next table: its message is there then, or nowhere else. */
function start ({ fails, ...options }: ExchangeOptions & { fails?: ErrorCode } = {}) {
  const { promise: lost, resolve } = Promise.withResolvers<void>()
  let left = fails === undefined ? 0 : 1
  let table: Partial<Route> | undefined
  const dying = fakeEndpoint('dying', async (_, attempt) => {
    left = 0
    const error = new GatewayError(fails!)
    attempt.failed(error)
    throw error
  })
  const back = fakeEndpoint('back', async (_, attempt) => { attempt.answered(200); return ok() })
  const exchange = makeExchange({ ...options, upstream: { pick: () => left > 0 ? dying : table?.endpoints?.has('back') === true ? back : undefined, reach: () => left > 0 ? 'same' : table?.endpoints?.has('back') === true ? 'another' : 'none', lost: () => table === undefined ? lost : undefined } })
  const { route } = exchange
  Object.assign(exchange, { route: Object.assign(route, { inForce: () => table === undefined ? route : { ...route, ...table } }) })
  const path = compose([retry(policy, { elsewhere: async ({ upstream }: Exchange) => ({ ...ok(), reason: upstream.name }) }), pickEndpoint], send)
  const answered = path(exchange).then(({ reason }) => reason === '' ? exchange.endpoint!.url : reason, (error: unknown) => (error as GatewayError).code)
  return { exchange, answered, told: (next: Partial<Route>) => { table = next; resolve() } }
}
const billing = { upstream: makeExchange({ upstream: { name: 'billing' } }).upstream }

for (const [sentence, options, table, expected] of [
  ['one that found nobody goes on where its message is then', {}, billing, 'billing'],
  ['so does one that was refused, POST or not', { fails: 'ConnectFailed', method: 'POST' }, billing, 'billing'],
  ['and one whose endpoint died over it, where it may be repeated', { fails: 'ConnectionClosed' }, billing, 'billing'],
  ['it stays where its message has an endpoint again', {}, { endpoints: new Set(['back']) }, 'back'],
  ['nobody is told so where nobody has it then', {}, { endpoints: new Set<string>() }, 'NoEndpoint'],
  ['and the failure, where there was one', { fails: 'ConnectFailed' }, { endpoints: new Set<string>() }, 'ConnectFailed']
] as const) {
  test(`a call that waits for the table: ${sentence}`, async () => {
    const { exchange, answered, told } = start(options)
    await until('it waits', () => exchange.waitsFor === 'table without the endpoints that died')
    told(table)
    assert.equal(await answered, expected)
  })
}

test('what may have been done does not wait, nor go anywhere else', async () => {
  const { answered, told } = start({ fails: 'ConnectionClosed', method: 'POST' })
  assert.equal(await answered, 'ConnectionClosed')
  told(billing)
})

test('its deadline ends the waiting', async () => {
  const { exchange, answered } = start()
  await until('it waits', () => exchange.waitsFor !== undefined)
  exchange.end(new GatewayError('DeadlineExceeded'))
  assert.equal(await answered, 'DeadlineExceeded')
})
