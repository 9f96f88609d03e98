import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createPacedLog } from '../../src/control/paced-log.ts'

const start = (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const posted: string[] = []
  const paced = createPacedLog(({ message, fields }) => posted.push(message === 'line' ? String(fields['n']) : `${message} ${JSON.stringify(fields)}`), { atOnce: 3, everyMs: 5, most: 4 })
  let n = 0
  const log = (count: number) => { while (count-- > 0) paced.log({ level: 'info', fields: { n: n++ }, message: 'line' }) }
  return { posted, log, flush: () => paced.flush(), tick: (ms: number) => t.mock.timers.tick(ms) }
}

test('a few lines leave at once, and again after a pause', t => {
  const { posted, log, tick } = start(t)
  log(2)
  assert.deepEqual(posted, ['0', '1'])
  tick(5)
  log(3)
  assert.deepEqual(posted, ['0', '1', '2', '3', '4'])
})

test('a storm is spread, in order, and what is beyond the bound is counted', t => {
  const { posted, log, tick } = start(t)
  log(9)
  assert.deepEqual(posted, ['0', '1', '2'])
  tick(5)
  assert.deepEqual(posted, ['0', '1', '2', '3', '4', '5'])
  tick(5)
  assert.deepEqual(posted.slice(6), ['6', 'log lines of the control plane were dropped {"lost":2}'])
})

test('at the end nothing waits', t => {
  const { posted, log, flush } = start(t)
  log(6)
  flush()
  assert.deepEqual(posted, ['0', '1', '2', '3', '4', '5'])
})
