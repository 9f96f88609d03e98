// Every recorded call of real hosts, sent through the gateway: the answer is the recorded one, or the one the table of differences names.
import { after, before, beforeEach, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { startFleet, type Fleet } from '../support/fleet.ts'
import { openConnection, type RawResponse } from '../support/http-client.ts'
import { recordedCases, recordedAddress, type Generation, type RecordedCase } from '../support/recordings.ts'
import { differenceOf, renderWireDifferences, wireDifferences } from '../support/wire-differences.ts'

const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'proxy-connection', 'te', 'trailer', 'upgrade'])
/** What the gateway adds. */
const own = new Set(['via', 'x-mac-requestid', 'age', 'cache-status'])
/** What the hosts say: no time at which anybody else would say it. */
const date = 'Sat, 21 Nov 2026 08:00:00 GMT'
/** A length where there was none is the gateway's own; of one that was there the place counts here, what it says is compared with the body. */
const comparable = (headers: RecordedCase['headers'], hasLength: boolean) => headers
  .filter(([name]) => !hopByHop.has(name.toLowerCase()) && !own.has(name.toLowerCase()) && (hasLength || name !== 'Content-Length'))
  .map(([name, value]) => `${name}: ${name === 'Date' ? date : name === 'Content-Length' ? '' : value}`)

/** The body without its framing. */
function unframed (recorded: RecordedCase): Buffer | undefined {
  if (recorded.body === undefined) return undefined
  if (!recorded.headers.some(([name]) => name === 'Transfer-Encoding')) return recorded.body
  const pieces: Buffer[] = []
  for (let at = 0; at < recorded.body.length;) {
    const lineEnd = recorded.body.indexOf('\r\n', at)
    const size = Number.parseInt(recorded.body.toString('latin1', at, lineEnd), 16)
    pieces.push(recorded.body.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
  return Buffer.concat(pieces)
}

for (const generation of ['10.1.5', '5.2.0'] as Generation[]) {
  describe(`recorded calls through the gateway to ${generation} hosts`, { timeout: 300_000 }, () => {
    const cases = new Map(recordedCases(generation).map(recorded => [recorded.name, recorded]))
    let fleet: Fleet
    before(async () => { fleet = await startFleet(['Catalog', 'Orders'].map(service => ({ generation, service, recordedDate: date }))) })
    // What the hosts answer to each call, not what was stored of another one.
    beforeEach(async () => { await fleet.gateway.tell('/api/cache/purge', { all: true }) })
    after(async () => { await fleet[Symbol.asyncDispose]() })

    const replay = async (recorded: RecordedCase): Promise<RawResponse> => {
      using connection = await openConnection(fleet.gateway.url)
      connection.send(recorded.request)
      const response = await connection.response(recorded.method)
      assert.equal((await connection.reader.rest()).length, 0, 'Connection: close is kept, and nothing comes after the answer')
      return response
    }
    const assertAs = (response: RawResponse, recorded: RecordedCase, { method } = recorded) => {
      assert.equal(response.statusLine, recorded.status)
      const told = recorded.headers.find(([name]) => name === 'Content-Length')?.[1]
      assert.deepEqual(comparable(response.headers, told !== undefined), comparable(recorded.headers, true))
      assert.deepEqual(response.all('date'), [date])
      const body = unframed(recorded)
      const bodyless = method === 'HEAD' || response.status === 204 || response.status === 304
      const address = recordedAddress[recorded.host][generation]
      if (body !== undefined && !bodyless) {
        const host = fleet.hosts[recorded.host === 'catalog' ? 0 : 1]!
        assert.equal(response.body.toString('latin1'), body.toString('latin1').replaceAll(address, host.address))
      }
      if (body === undefined) assert.match(response.text(), /^<!doctype html>/)
      const length = response.header('content-length')
      if (length !== undefined && method !== 'HEAD') assert.equal(Number(length), response.body.length)
      if (told !== undefined) assert.equal(length, bodyless ? told : String(response.body.length))
      assert.ok(response.whole)
    }

    for (const recorded of cases.values()) {
      const difference = differenceOf(recorded.name, generation)
      test(`${recorded.name}${difference === undefined ? '' : `: ${difference.why}`}`, async () => {
        const host = fleet.hosts[recorded.host === 'catalog' ? 0 : 1]!
        const before = host.calls.length
        const response = await replay(recorded)
        assert.ok((response.header('x-mac-requestid') ?? '').length > 0)
        const expected = difference?.expected
        if (expected === undefined) return assertAs(response, recorded)
        if (expected.kind === 'as') return assertAs(response, cases.get(expected.name)!, recorded)
        if (expected.kind === 'local') {
          assert.equal(response.status, expected.status)
          assert.equal(response.reason, expected.errorCode)
          assert.equal(host.calls.length, before, 'the host was not asked')
          if (/json/.test(response.header('content-type')!)) assert.equal(response.json().responseStatus.errorCode, expected.errorCode)
          else assert.match(response.text(), new RegExp(expected.errorCode))
          return
        }
        assert.equal(response.statusLine, recorded.status)
        for (const pattern of expected.matches) assert.match(response.text(), pattern)
        for (const pattern of expected.lacks) assert.doesNotMatch(response.text(), pattern)
      })
    }

    test('nothing was spelled in a way the hosts could not read', () => {
      for (const host of fleet.hosts) assert.deepEqual(host.complaints, [])
    })
  })
}

test('every difference names a recorded case, and docs/WIRE-DIFFERENCES.md says them all', async () => {
  const names = new Set(recordedCases('10.1.5').map(({ name }) => name))
  for (const [name, { expected }] of Object.entries(wireDifferences)) {
    assert.ok(names.has(name), name)
    if (expected.kind === 'as') assert.ok(names.has(expected.name), expected.name)
  }
  const file = new URL('../../docs/WIRE-DIFFERENCES.md', import.meta.url)
  const text = renderWireDifferences(names.size)
  if (process.env['UPDATE_DOCS'] === '1') await writeFile(file, text)
  assert.equal(await readFile(file, 'utf8'), text, 'UPDATE_DOCS=1 writes it anew')
})
