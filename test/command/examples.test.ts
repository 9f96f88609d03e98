// The examples run, as their first lines say.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { until } from '../support/until.ts'
import { root, startChild } from './run-command.ts'

const slow = { timeoutMs: 60_000 }

test('a service of any kind, and the client, with the demo', async () => {
  await using demo = startChild(['demo', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'])
  await until('the greeting', () => demo.out().includes('Ctrl-C'), slow)
  const listener = /listening on (\S+)/.exec(demo.out())![1]!
  const registry = /registered at (\S+)\. Try/.exec(demo.out())![1]!

  await using service = startChild([registry], { script: join(root, 'examples/plain-service.ts') })
  await until('Greet to be routed', async () => {
    const response = await fetch(`${listener}/json/reply/Greet?name=Ann`)
    return response.status === 200 && (await response.json() as { greeting: string }).greeting === 'Hello, Ann'
  }, slow)
  service.process.kill('SIGTERM')
  assert.equal(await service.ended, 0, service.err())

  await using client = startChild([listener], { script: join(root, 'examples/client.ts') })
  assert.equal(await client.ended, 0, client.err())
  assert.match(client.out(), /name: 'Lantern'[\s\S]*NotEmpty 'Customer' must not be empty\./)

  await using fleet = startChild([registry], { script: join(root, 'examples/fleet.ts') })
  await until('the fleet', () => fleet.out().includes('are registered'), slow)
  fleet.process.kill('SIGTERM')
  assert.equal(await fleet.ended, 0, fleet.err())
  demo.process.kill('SIGTERM')
  assert.equal(await demo.ended, 0)
})
