import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deadlines } from '../../src/exchange/deadlines.ts'
import { GatewayError } from '../../src/exchange/errors.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import { settle } from '../../src/exchange/settle.ts'
import { makeExchange } from '../support/exchange.ts'

const answer = (body: ResponseBody) => ({ status: 200, reason: 'OK', headers: [], body })

test('what is held is given back when the body is finished, not at the head; last held, first given back', async () => {
  const told: string[] = []
  const exchange = makeExchange()
  const body = ResponseBody.of(Buffer.from('x'))
  await settle(async exchange => {
    exchange.atEnd(() => told.push('first'))
    exchange.atEnd((_exchange, response, error) => told.push(`second ${response?.status} ${error?.code}`))
    return answer(body)
  })(exchange)
  assert.equal(told.length, 0)
  body.takeWhole()
  assert.deepEqual(told, ['second 200 undefined', 'first'])
})

test('a path that fails, in whatever way, gives everything back and says what failed', async () => {
  for (const fail of [() => { throw new GatewayError('BulkheadFull') }, () => Promise.reject(new GatewayError('BulkheadFull'))]) {
    const told: unknown[] = []
    const path = settle(exchange => {
      exchange.atEnd((_exchange, response, error) => told.push([response, error?.code]))
      return fail()
    })
    await assert.rejects(path(makeExchange()), (error: unknown) => error instanceof GatewayError && error.code === 'BulkheadFull')
    assert.deepEqual(told, [[undefined, 'BulkheadFull']])
  }
})

test('the deadline stops at the head', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const deadlines = new Deadlines()
  const [answered, waiting] = [makeExchange(), makeExchange()]
  for (const exchange of [answered, waiting]) {
    exchange.deadlineAtMs = 0
    deadlines.add(exchange)
  }
  await settle(async () => answer(new ResponseBody()))(answered)
  t.mock.timers.tick(20)
  assert.deepEqual([answered.ended, waiting.ended?.code], [undefined, 'DeadlineExceeded'])
})
