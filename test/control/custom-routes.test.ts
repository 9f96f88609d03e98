import { describeChanges } from '../../src/control/changes-log.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toShape } from '../../src/control/custom-routes.ts'
import { decideWorld, operation, type World } from './support.ts'

const on = { upstreams: { Catalog: { customRoutes: true } } }
const pathsOf = (world: World, upstream = 'Catalog') => (decideWorld(world).plan.customRoutes.get(upstream) ?? []).map(({ path, verbs, message, routed }) => `${routed ? 'to' : 'kept'} ${message} ${verbs.join(',') || 'ANY'} ${path}`)
const product = operation('GetProduct', { actions: ['GET'], routes: ['/products/{Id}'] })
const one = { id: 'a' }

test('off by default: only hidden paths are kept from prefix routes', () => {
  assert.deepEqual(pathsOf({ registrations: [one], says: { 9101: { id: 'a', lists: [product] } } }), [])
})
test('off, and a prefix route to it: the paths of its messages are known, and not routed', () => {
  assert.deepEqual(pathsOf({ registrations: [one], says: { 9101: { id: 'a', lists: [product] } }, config: { prefixes: { '/shop/*': { upstream: 'Catalog' } } } as never }), ['kept getproduct GET /products/{Id}'])
})
test('on: the paths of routed messages, verbs as listed', () => {
  assert.deepEqual(pathsOf({ registrations: [one], says: { 9101: { id: 'a', lists: [product] } }, config: on }), ['to getproduct GET /products/{Id}'])
})
test('what no tag names is not routed, and kept back: no other route may be a way to it', () => {
  for (const config of [{}, on]) assert.deepEqual(pathsOf({ registrations: [{ ...one, names: ['Other'] }], says: { 9101: { id: 'a', lists: ['Other', product] } }, config }), ['kept getproduct GET /products/{Id}'])
})
test('so is what another service has, but not what a split sends here too', () => {
  const world = { registrations: [one, { id: 's', port: 9102, service: 'Shop', names: ['GetProduct'] }], says: { 9101: { id: 'a', lists: [product] }, 9102: { id: 's', lists: [product] } } }
  const settled = { messages: { GetProduct: { upstream: 'Shop' } } }
  assert.deepEqual(pathsOf({ ...world, config: { ...on, ...settled } }), ['kept getproduct GET /products/{Id}'])
  const split = { GetProduct: { upstream: 'Shop', policy: { split: { parts: [{ name: 'new', to: { upstream: 'Catalog' }, percent: 10 }] } } } }
  assert.deepEqual(pathsOf({ ...world, config: { messages: split } as never }), [])
})
test('a restricted message is kept from prefix routes, on or off', () => {
  const lists = [operation('GetProduct', { restricted: true, routes: ['/products/{Id}'] })]
  for (const config of [{}, on]) assert.deepEqual(pathsOf({ registrations: [one], says: { 9101: { id: 'a', lists } }, config }), ['kept getproduct ANY /products/{Id}'])
})
test('a never-routed message too, also when nobody tags it', () => {
  assert.deepEqual(pathsOf({ registrations: [one], says: { 9101: { id: 'a', lists: ['GetProduct', operation('GetServices', { routes: ['/discovery/services'] })] } } }), ['kept getservices ANY /discovery/services'])
})
test('a fixed ServiceStack host keeps its restricted paths too', () => {
  const fixed = { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:7000'] } } }
  assert.deepEqual(pathsOf({ says: { 7000: { lists: [operation('Reindex', { restricted: true, routes: ['/reindex'] })] } }, config: fixed }, 'Legacy'), ['kept reindex ANY /reindex'])
})

test('one path and verb of two messages is a conflict: the older owner keeps it', () => {
  const config = { upstreams: { Catalog: { customRoutes: true }, Shop: { customRoutes: true } } }
  const shop = { id: 's', port: 9102, service: 'Shop', names: ['FindProduct'] }
  const find = operation('FindProduct', { actions: ['GET'], routes: ['/Products/{Name}/'] })
  const first = decideWorld({ registrations: [shop], says: { 9102: { id: 's', lists: [find] } }, config, now: 1_000 })
  const decision = decideWorld({ registrations: [one, shop], says: { 9101: { id: 'a', lists: [product] }, 9102: { id: 's', lists: [find] } }, config, now: 2_000, memory: first.memory })
  assert.deepEqual(decision.pathConflicts, [{ path: '/products/{Id}', upstream: 'Catalog', message: 'getproduct', conflictWith: 'findproduct' }])
  const line = describeChanges(undefined, decision).find(({ message }) => message === 'path conflict')
  assert.deepEqual([line?.level, line?.fields['why']], ['warn', 'Conflict: getproduct of Catalog wants /products/{Id} too, where findproduct is; by this path it cannot be called.'])
  assert.deepEqual(describeChanges(decision, decision), [])
  assert.equal(decision.plan.customRoutes.get('Shop')?.filter(route => route.routed).length, 1)
})

test('one path with different verbs is none', () => {
  const remove = operation('DeleteProduct', { actions: ['DELETE'], routes: ['/products/{Id}'] })
  const decision = decideWorld({ registrations: [{ ...one, names: ['GetProduct', 'DeleteProduct'] }], says: { 9101: { id: 'a', lists: [product, remove] } }, config: on })
  assert.deepEqual(decision.pathConflicts, [])
  assert.equal(decision.plan.customRoutes.get('Catalog')?.filter(route => route.routed).length, 2)
})

test('a path that also leads to a hidden message of the same host is not routed', () => {
  const hidden = operation('Reindex', { restricted: true, routes: ['/products/{Any}'] })
  const decision = decideWorld({ registrations: [{ ...one, names: ['GetProduct', 'Reindex'] }], says: { 9101: { id: 'a', lists: [product, hidden] } }, config: on })
  assert.deepEqual(decision.pathConflicts.map(conflict => conflict.conflictWith), ['reindex'])
})

for (const [path, shape] of [['/Products/{Id}', '/products/{}'], ['/products/{Name}/', '/products/{}'], ['/files/{Path*}', '/files/{*}'], ['/', '/']] as const) {
  test(`${path} has the shape ${shape}`, () => assert.equal(toShape(path), shape))
}
