// Whether a registry vouches for what is in force, and how many it does not vouch for.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { CatalogEntry } from '../../src/control/catalog.ts'
import { Registries } from '../../src/control/registries.ts'
import { isUnheard, staleness, vouchedAtOf } from '../../src/control/stale.ts'
import type { WatchState } from '../../src/registry/registration.ts'
import { registration } from './support.ts'

const well: WatchState = { registry: 'consul', ok: true, lastGoodAt: Date.UTC(2026, 10, 27), error: undefined, agent: 'http://a' }
const failing: WatchState = { ...well, ok: false, error: 'HTTP 500' }
/** As the watch of a file tells it: each mistake with the line of the file. */
const broken: WatchState = { ...well, registry: 'file', ok: false, error: 'services.yaml:2:8  [0].url: must be a base URL. Hint: For example http://h:1\n  2 |   url: nowhere\n    |        ^\nservices.yaml:3:3  [0].wieght: is not a known setting' }
const inFile = registration({ id: 'f', registry: 'file' })
const entry: CatalogEntry = { registration: registration({ id: 'a' }), firstSeenAt: 0, unconfirmedSince: undefined, stale: false }

const rows: ReadonlyArray<readonly [sentence: string, state: WatchState | undefined, entry: Partial<CatalogEntry>, stale: RegExp | undefined]> = [
  ['what a registry says that answers is fresh', well, {}, undefined],
  ['what it said before it failed is stale, since its last answer', failing, {}, /^consul does not answer, last at 2026-11-27T00:00:00Z \(HTTP 500\)$/],
  ['what it has forgotten is stale: the sentence of what is unconfirmed says so already', well, { unconfirmedSince: 1 }, /^$/],
  ['what was read from disk is stale until it answers', { ...well, ok: false, lastGoodAt: undefined }, { stale: true }, /^read from disk, and consul has not answered since the start$/],
  ['what is known from before a change of what is watched is stale until it answers for that', { ...failing, error: 'api: HTTP 403', failing: [{ service: 'api', datacenter: undefined, lastGoodAt: undefined }] }, { stale: true }, /^known from before, and consul has not answered for api since it is watched \(api: HTTP 403\)$/],
  ['a registry that is only awaited has not failed', { ...well, ok: false, lastGoodAt: undefined }, {}, undefined],
  ['a datacenter that fails makes stale what it listed', { ...failing, failing: [{ service: 'api', datacenter: 'dc1', lastGoodAt: 1 }] }, {}, /does not answer/],
  ['and not what another listed', { ...failing, failing: [{ service: 'api', datacenter: 'dc2', lastGoodAt: 1 }] }, {}, undefined],
  ['nor another service', { ...failing, failing: [{ service: 'web', datacenter: undefined, lastGoodAt: 1 }] }, {}, undefined],
  ['a mistake in a file is told in one line, with its place, without the line of the file', broken, { registration: inFile }, /^the services file cannot be read, and counts as it was at 2026-11-27T00:00:00Z \(services\.yaml:2:8 {2}\[0\]\.url: must be a base URL\. Hint: For example http:\/\/h:1\)$/],
  ['what is cut says so', { ...broken, error: 'x'.repeat(201) }, { registration: inFile }, /\(x{200}…\)$/],
  ['a file that was read by an earlier run only', { ...broken, lastGoodAt: undefined }, { registration: inFile, stale: true }, /^read from disk, and the services file could not be read since the start$/],
  ['postern.yaml is never stale', failing, { registration: registration({ id: 'f', registry: 'config' }) }, undefined]
]
for (const [sentence, state, over, stale] of rows) {
  test(sentence, () => {
    const said = staleness({ ...entry, ...over }, () => state)
    if (stale === undefined) assert.equal(said, undefined)
    else assert.match(said ?? 'fresh', stale)
  })
}

for (const [sentence, state, over, vouchedAt] of [
  ['a registry that answers vouches for what it lists now', well, {}, 9],
  ['one that fails, for what was so at its last good answer', { ...failing, lastGoodAt: 5 }, {}, 5],
  ['a datacenter that fails has a last answer of its own', { ...failing, lastGoodAt: 2, failing: [{ service: 'api', datacenter: 'dc2', lastGoodAt: 2 }, { service: 'api', datacenter: 'dc1', lastGoodAt: 4 }] }, {}, 4],
  ['what it has forgotten it named last before that', well, { unconfirmedSince: 6, vouchedAt: 3 }, 3],
  ['what was read from disk says itself when that was', { ...well, ok: false, lastGoodAt: undefined }, { stale: true, vouchedAt: 3 }, 3],
  ['unless an older version wrote it', well, { stale: true }, 0],
  ['postern.yaml always holds', failing, { registration: registration({ id: 'f', registry: 'config' }) }, 9]
] satisfies ReadonlyArray<readonly [sentence: string, state: WatchState, over: Partial<CatalogEntry>, vouchedAt: number]>) {
  test(`who may have been told of what came after: ${sentence}`, () => {
    const one = { ...entry, ...over }
    assert.equal(vouchedAtOf(one, () => state, 9), vouchedAt)
    assert.deepEqual([vouchedAt, vouchedAt + 1].map(since => isUnheard(one, since, () => state)), [false, vouchedAt < 9])
  })
}

test('they are counted: all while it fails, those of a datacenter that fails, and what it has forgotten', () => {
  const registries = new Registries()
  const [near, far] = [registration({ id: 'near' }), registration({ id: 'far', datacenter: 'dc2', service: 'Orders' })]
  assert.equal(registries.staleIn(failing), 0)
  registries.told({ registry: 'consul', registrations: [near, far], index: 5, reset: false }, 1, undefined)
  assert.deepEqual([well, failing, { ...failing, failing: [{ service: 'api', datacenter: 'dc2', lastGoodAt: 1 }] }].map(state => registries.staleIn(state)), [0, 2, 1])
  registries.told({ registry: 'consul', registrations: [near], index: 3, reset: true }, 2, undefined)
  assert.equal(registries.staleIn(well), 1)
  registries.told({ registry: 'consul', registrations: [near, registration({ id: 'broken', address: undefined, refused: 'no address' } as never)], index: 4, reset: false }, 3, undefined)
  registries.told({ registry: 'consul', registrations: [near], index: 2, reset: true }, 4, undefined)
  assert.equal(registries.staleIn(well), 1, 'what can never be used is in force neither way')
  registries.expire(700_000, 600_000)
  assert.equal(registries.staleIn(well), 0)
})
