// Zones, datacenters and warning endpoints as the plan has them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLocate, type LocalityRules } from '../../src/control/locality.ts'
import { pickTier } from '../../src/control/claims.ts'
import { unknownDistances, type Distances } from '../../src/registry/coordinates.ts'
import { decideWorld, registration } from './support.ts'

const rules = (locality: object, consul: object = {}) => ({ locality: { zoneMetaKey: 'zone', ...locality }, registry: { consul: { datacenters: [], datacenterOrder: 'list', ...consul } } }) as unknown as LocalityRules
const levelOf = (rules: LocalityRules, place: { datacenter?: string | undefined, zone?: string, registry?: 'file' }, distances: Distances = unknownDistances) =>
  createLocate(rules, distances)(registration({ id: 'x', datacenter: place.datacenter, meta: place.zone === undefined ? {} : { zone: place.zone }, registry: place.registry ?? 'consul' })).level

test('without settings everything is equally near', () => {
  for (const place of [{ datacenter: 'dc1' }, { datacenter: 'dc9', zone: 'a' }, {}]) assert.equal(levelOf(rules({}), place), 0)
})

test('own zone, own datacenter, the others as listed, those not listed last', () => {
  const settings = rules({ zone: 'a' }, { datacenters: ['dc1', 'dc2', 'dc3'] })
  const places = [{ datacenter: 'dc1', zone: 'a' }, { datacenter: 'dc1', zone: 'b' }, { datacenter: 'dc1' }, { datacenter: 'dc2', zone: 'a' }, { datacenter: 'dc3' }]
  assert.deepEqual(places.map(place => levelOf(settings, place)), [0, 1, 1, 2, 3])
  assert.ok(levelOf(settings, { datacenter: 'dc9' }) > 3)
  assert.equal(levelOf(settings, { datacenter: 'dc2', zone: 'a', registry: 'file' }), 0)
})

test('the own datacenter need not be the first; by coordinates the nearest of the others is next', () => {
  const named = rules({ datacenter: 'dc2' }, { datacenters: ['dc1', 'dc2', 'dc3'] })
  assert.deepEqual(['dc1', 'dc2', 'dc3'].map(datacenter => levelOf(named, { datacenter })), [2, 0, 3])
  const distances = { ...unknownDistances, datacenter: (name: string) => ({ dc1: 90, dc3: 20 })[name] }
  const near = rules({ datacenter: 'dc2' }, { datacenters: ['dc1', 'dc2', 'dc3', 'dc4'], datacenterOrder: 'coordinates' })
  assert.deepEqual(['dc1', 'dc2', 'dc3', 'dc4'].map(datacenter => levelOf(near, { datacenter }, distances)), [3, 0, 2, 4])
})

test('the plan carries place and what is registered at each level, without traffic too', () => {
  const { plan } = decideWorld({
    registrations: [
      { id: 'ss-Catalog-1', port: 1, meta: { zone: 'a' }, weights: { passing: 3, warning: 1 } },
      { id: 'ss-Catalog-2', port: 2, meta: { zone: 'a' }, health: 'critical' },
      { id: 'ss-Catalog-3', port: 3, meta: { zone: 'b' } }
    ],
    says: { 1: { lists: ['GetProduct'] }, 2: { lists: ['GetProduct'] }, 3: { lists: ['GetProduct'] } },
    config: { locality: { zone: 'a' } }
  })
  const { endpoints, levels } = plan.upstreams.get('Catalog')!
  assert.deepEqual(endpoints.map(({ url, zone, level, datacenter }) => [url, zone, level, datacenter]), [['http://10.0.0.1:1', 'a', 0, 'dc1'], ['http://10.0.0.1:3', 'b', 1, 'dc1']])
  assert.deepEqual(levels, [{ level: 0, weight: 4 }, { level: 1, weight: 1 }])
})

test('warning endpoints stand by, or share by their own weight', () => {
  const world = (warning: 'standby' | 'weighted') => decideWorld({
    registrations: [{ id: 'ss-Catalog-1', port: 1 }, { id: 'ss-Catalog-2', port: 2, health: 'warning', weights: { passing: 10, warning: 2 } }],
    says: { 1: { lists: ['GetProduct'] }, 2: { lists: ['GetProduct'] } },
    config: { upstreams: { Catalog: { balancing: { warning } } } }
  }).plan.upstreams.get('Catalog')!.endpoints.map(({ weight }) => weight)
  assert.deepEqual([world('standby'), world('weighted')], [[1], [1, 2]])
  assert.deepEqual(pickTier([], { panic: true, warning: 'weighted' }), [])
})
