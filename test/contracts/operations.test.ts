import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { neverRouted } from '../../src/config/never-routed.ts'
import { excludesOutside, findOperations, operationLimits, parseOperations } from '../../src/contracts/operations.ts'

const recording = (name: string) => readFileSync(new URL(`../fixtures/recordings/${name}`, import.meta.url), 'utf8')
const internal = 'AnySecurityMode, AnyHttpMethod, AnyCallStyle, AnyFormat, AnyEndpoint, InternalNetworkAccess'

for (const [file, count] of [['operations-catalog.json', 39], ['operations-catalog-5.2.json', 24]] as const) {
  test(`a real host's list is read: ${file}`, () => {
    const list = parseOperations(recording(file))
    assert.ok(list)
    assert.equal(list.operations.length, JSON.parse(recording(file)).length)
    assert.equal(list.operations.length, count)
    assert.equal(list.isCut, false)
    assert.deepEqual(list.operations.filter(operation => operation.restricted).map(operation => operation.name), ['ReindexProducts'])
    assert.deepEqual(list.byName.get('getproduct'), { name: 'GetProduct', restricted: false, visible: true, actions: ['GET'], routes: ['/products/{Id}'] })
    assert.equal(list.byName.get('heartbeat')?.visible, false)
    // Unrestricted in the list, and all the same never for the outside.
    for (const name of ['GetServices', 'GetService', 'ServiceRegistration', 'HealthCheck', 'Heartbeat']) {
      assert.equal(list.byName.get(name.toLowerCase())?.restricted, false)
      assert.ok(neverRouted.has(name.toLowerCase()))
    }
  })
}

for (const [audience, outside, sentence] of [
  [undefined, true, 'no restriction'],
  [null, true, 'a null'],
  [['Any'], true, 'Any'],
  [['External'], true, 'External'],
  [['AnyNetworkAccessType'], true, 'AnyNetworkAccessType'],
  [['InSecure, External'], true, 'External among other flags'],
  [['LocalSubnet', 'External'], true, 'External as one of several entries'],
  [[internal], false, 'Internal, although it says "Any" five times'],
  [['Localhost'], false, 'Localhost'],
  [['None'], false, 'None'],
  [[], false, 'an empty list'],
  ['Any', true, 'a bare text'],
  [[7, {}], false, 'something unreadable'],
  [{ Any: true }, false, 'an object'],
  [['any'], false, 'another letter case is another word']
] as const) {
  test(`outside callers ${outside ? 'may call' : 'are left out'}: ${sentence}`, () => {
    assert.equal(excludesOutside(audience), !outside)
  })
}

test('a .NET Framework host writes PascalCase', () => {
  const list = parseOperations(JSON.stringify([{ Name: 'Reindex', RestrictTo: ['Localhost'], VisibleTo: ['None'], Actions: ['post'], Routes: ['/reindex'] }]))
  assert.deepEqual(list?.operations, [{ name: 'Reindex', restricted: true, visible: false, actions: ['POST'], routes: ['/reindex'] }])
})

test('a tag finds a nested type by its last part, and both of two', () => {
  const list = parseOperations(JSON.stringify([{ name: 'Outer.Inner' }, { name: 'Other.Inner', restrictTo: ['Localhost'] }, { name: 'Inner' }]))
  assert.ok(list)
  assert.deepEqual(findOperations(list, 'inner').map(({ name, restricted }) => [name, restricted]), [['Inner', false], ['Outer.Inner', false], ['Other.Inner', true]])
  assert.deepEqual(findOperations(list, 'outer').map(({ name }) => name), [])
})

test('one bad entry never spoils the rest', () => {
  const list = parseOperations(JSON.stringify([null, 7, 'x', [], {}, { name: 5 }, { name: '' }, { name: 'a/b' }, { name: 'x'.repeat(operationLimits.nameLength + 1) }, { name: 'Good', actions: 'GET', routes: [7, 'no-slash', '/ok'] }]))
  assert.deepEqual(list?.operations, [{ name: 'Good', restricted: false, visible: true, actions: [], routes: ['/ok'] }])
})

test('a name listed twice has the stricter rights of both', () => {
  const list = parseOperations(JSON.stringify([{ name: 'Pay', actions: ['GET'] }, { name: 'pay', restrictTo: ['Localhost'], actions: ['POST'] }]))
  assert.equal(list?.operations.length, 1)
  assert.equal(list?.byName.get('pay')?.restricted, true)
})

test('names of Object.prototype are names like others', () => {
  const list = parseOperations('[{"name":"constructor"},{"name":"__proto__","restrictTo":["Localhost"]}]')
  assert.deepEqual(list?.operations.map(({ name, restricted }) => [name, restricted]), [['constructor', false], ['__proto__', true]])
  assert.equal(list?.byName.get('toString'), undefined)
})

for (const [body, sentence] of [['<html></html>', 'HTML'], ['{"operations":[]}', 'an object'], ['[{"name":', 'a cut answer'], ['[1,2]', 'an array of something else'], ['', 'nothing']] as const) {
  test(`no list: ${sentence}`, () => assert.equal(parseOperations(body), undefined))
}

test('a list beyond the limit is cut, not refused', () => {
  const list = parseOperations(JSON.stringify(Array.from({ length: operationLimits.operations + 5 }, (_, index) => ({ name: `M${index}` }))))
  assert.equal(list?.operations.length, operationLimits.operations)
  assert.equal(list.isCut, true)
})

for (const [what, operation, isCut] of [
  ['as many paths as are taken', { routes: Array.from({ length: operationLimits.routes }, (_, i) => `/${i}`) }, false],
  ['neither paths nor verbs', { routes: null }, false],
  ['one path more', { routes: Array.from({ length: operationLimits.routes + 1 }, (_, i) => `/${i}`) }, true],
  ['a path that is too long', { routes: [`/${'x'.repeat(operationLimits.routeLength)}`] }, true],
  ['a path that is none', { routes: [7] }, true],
  ['paths that are no list', { routes: '/ok' }, true],
  ['one verb more', { actions: Array.from({ length: operationLimits.actions + 1 }, (_, i) => `V${i}`) }, true],
  ['a name that is none', { name: 'Pur ge' }, true]
] as const) {
  test(`a list is ${isCut ? 'cut' : 'whole'} that has ${what}`, () => assert.equal(parseOperations(JSON.stringify([{ name: 'Good' }, { name: 'Other', ...operation }]))?.isCut, isCut))
}
