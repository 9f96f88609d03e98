import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startOrigins } from '../support/fleet.ts'
import * as behave from '../support/origin.ts'
import { runHere } from './run-command.ts'

test('postern breaker: holds, lists and releases', { timeout: 300_000 }, async () => {
  await using fleet = await startOrigins([behave.ok()])
  const breaker = async (...args: string[]) => await runHere(['breaker', ...args, '--admin', fleet.gateway.admin])
  assert.equal((await breaker('list')).out, 'All breakers are closed.\n')
  const held = await breaker('open', 'origin/echo', '--reason', 'table locked', '--by', 'anna', '--for', '10m')
  assert.equal(held.code, 0, held.err)
  assert.match(held.out, /^origin\/echo is held open: no calls until 20\d\d-[^\n]*\nA restart of the gateway ends this: it has no dataDirectory, or could not write there; its log says so\.\n$/)
  assert.equal((await fleet.gateway.post('/json/reply/Echo', {})).reason, 'BreakerOpen')
  assert.match((await breaker('list')).out, /^origin\/Echo: held open by anna until .*: table locked\n$/)
  assert.equal((await breaker('release', 'origin/Echo')).out, 'origin/Echo is not held any more.\n')
  assert.equal((await breaker('close', 'origin', '--endpoint', fleet.origin.url, '--reason', 'known', '--by', 'anna')).code, 0)
  assert.equal((JSON.parse((await breaker('list', '--json')).out) as { holds: unknown[] }).holds.length, 1)
  const wrong = await breaker('open', 'nobody', '--reason', 'x')
  assert.deepEqual([wrong.code, wrong.err], [1, 'postern: There is no upstream nobody. /api/upstreams and `postern routes` name them.\n'])
})

test('postern breaker: where holds are kept, nothing is said of restarts', { timeout: 300_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-holds-'))
  try {
    await using fleet = await startOrigins([behave.ok()], { dataDirectory: directory })
    const { out } = await runHere(['breaker', 'open', 'origin', '--reason', 'disk full', '--by', 'anna', '--admin', fleet.gateway.admin])
    assert.equal(out, 'origin is held open: no calls until it is released.\n')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test('postern breaker: what is wrong with the command line is said', async () => {
  for (const [args, message] of [
    [[], /what is to be done/],
    [['opne', 'a'], /Did you mean open\?/],
    [['open'], /which breaker/],
    [['open', 'a'], /--reason is needed/],
    [['open', 'a', '--reason', 'r', '--for', 'soon'], /is no time/],
    [['open', 'a/b', '--endpoint', 'http://x', '--reason', 'r'], /not both/]
  ] as const) {
    const { code, err } = await runHere(['breaker', ...args])
    assert.equal(code, 2)
    assert.match(err, message)
  }
})
