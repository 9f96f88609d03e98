import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { ok, startOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'
import { runHere } from './run-command.ts'

test('postern cache: puts, shows and purges, outage copies included', { timeout: 300_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-cache-command-'))
  try {
    await using origin = await startOrigin(ok('{}'))
    await using gateway = await startGateway({
      dataDirectory: directory,
      upstreams: { Shop: { endpoints: [origin.url] } },
      messages: { GetOrder: { upstream: 'Shop', policy: { cache: { hideOrigin: 'busy', outage: { requests: ['Id=1'] } } } } }
    })
    await gateway.waitForEndpoint(origin.url)
    const file = join(directory, 'order.json')
    await writeFile(file, Buffer.from([0x7b, 0xff, 0x7d]))
    const cache = async (...args: string[]) => await runHere(['cache', ...args, '--admin', gateway.admin])
    const url = `${gateway.url}/json/reply/GetOrder?Id=5`
    const put = await cache('put', url, '--file', file, '--header', 'Cache-Control: max-age=60', '--header', 'Vary: Accept-Language', '--request-header', 'Accept-Language: de')
    assert.deepEqual([put.code, put.err], [0, ''])
    assert.equal(put.out, `Stored for ${/for (\d+) s/.exec(put.out)![1]} s: ${url} (GetOrder of Shop)\n`)
    const answer = await gateway.get('/json/reply/GetOrder?Id=5', { headers: [['Accept-Language', 'de']] })
    assert.deepEqual([answer.status, answer.body], [200, Buffer.from([0x7b, 0xff, 0x7d])])
    assert.match((await cache('show', '--message', 'GetOrder')).out, /GetOrder +200/)
    const refused = await cache('put', url, '--file', file)
    assert.equal(refused.code, 1)
    assert.match(refused.err, /^postern: The answer is not stored: it says no lifetime .*\.\n$/)
    assert.match((await cache('put', url, '--file', join(directory, 'nothing'))).err, /cannot be read/)

    await until('a copy', async () => /^1 outage copies, 0 missing\n/.test((await cache('show', '--copies')).out))
    assert.match((await cache('show', '--copies')).out, /(?:getorder|GetOrder) +\d+ +\d+ +- +\/json\/reply\/GetOrder\?Id=1\n$/)
    assert.equal((JSON.parse((await cache('show', '--copies', '--message', 'other', '--json')).out) as { copies: unknown[] }).copies.length, 0)
    assert.equal((await cache('purge', '--all')).out, '1 stored answer removed, and 1 outage copy.\n')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test('postern cache: what is wrong with the command line is said', async () => {
  for (const [args, message] of [
    [[], /show, purge or put/],
    [['show', 'more'], /too much: more/],
    [['put', '/x'], /both are needed/],
    [['put', '--file', 'x'], /both are needed/],
    [['put', '/x', '--file', 'x', '--status', '99'], /is no number from 200/],
    [['put', '/x', '--file', 'x', '--header', 'nothing'], /is not "Name: value"/],
    [['purge'], /what is to go/]
  ] as const) {
    const { code, err } = await runHere(['cache', ...args])
    assert.equal(code, 2)
    assert.match(err, message)
  }
})
