import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Markers } from '../../src/contracts/markers.ts'
import { learn } from '../../src/control/knowledge.ts'
import { createStateFile, parseState, serializeState, type KeptState } from '../../src/control/state-file.ts'
import { until } from '../support/until.ts'
import { operation, registration, toAnswer } from './support.ts'

const markers: Markers = new Map([['getproduct', 'safe']])
const known = { ...learn(undefined, toAnswer({ id: 'a', cut: true, lists: ['GetProduct', operation('Reindex', { restricted: true })] }), 'k', 5), markers }
const state: KeptState = {
  registries: [{ registry: 'consul', source: 'consul x', index: 7, entries: [{ registration: registration({ id: 'a' }), firstSeenAt: 1, unconfirmedSince: undefined, stale: false }] }],
  knowledge: [['http://10.0.0.1:9101', known], ['http://10.0.0.1:9102', known], ['http://10.0.0.1:9103', learn(undefined, toAnswer({ id: 'b', none: true }), 'k', 5)]],
  owners: [['getproduct', { upstream: 'Catalog', since: 3 }]],
  departed: [['pay', 'Alpha']],
  ownNodes: [['http://127.0.0.1:8500', { node: 'vm', datacenter: 'dc1' }]],
  names: [['catalog.internal', ['10.0.0.1', 'fd00::1']]],
  marks: new Map([['Catalog', new Map([['getproduct', { state: 'routed', since: 3 }]])]])
}

async function folder (t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'postern-state-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

test('what a stranger stands in for is read back, too', () => {
  const strange = learn(known, toAnswer({ none: true, strange: true }), 'k', 6)
  const [read] = parseState(serializeState({ ...state, knowledge: [['http://10.0.0.1:9101', strange]] }, new Date(0))).knowledge
  assert.deepEqual([read?.[1].strange, read?.[1].lastList?.byName.get('reindex')?.restricted], [true, true])
})

test('what is written is read back, lists written once and shared', () => {
  const text = serializeState(state, new Date(0))
  const back = parseState(text)
  assert.equal(text.split('"Reindex"').length, 2)
  assert.equal(back.registries[0]?.entries[0]?.registration.id, 'a')
  assert.deepEqual(back.owners, state.owners)
  assert.deepEqual([back.names, back.departed, back.ownNodes], [state.names, state.departed, state.ownNodes])
  const [first, second, third] = back.knowledge.map(([, knowledge]) => knowledge.listed)
  assert.ok(first?.state === 'read' && second?.state === 'read')
  assert.equal(first.list, second.list)
  assert.equal(first.list.byName.get('reindex')?.restricted, true)
  assert.equal(first.list.isCut, true)
  assert.equal(third?.state, 'none')
  assert.equal(text.split('"safe"').length, 2)
  assert.deepEqual(back.knowledge.map(([, knowledge]) => knowledge.markers), [markers, markers, undefined])
  assert.equal(back.knowledge[0]?.[1].markers, back.knowledge[1]?.[1].markers)
})

for (const [sentence, text] of [
  ['cut', serializeState(state, new Date(0)).slice(0, 200)],
  ['another version', '{"version":99,"registries":[],"lists":[],"knowledge":[],"owners":[]}'],
  ['something else', '[]'],
  ['parts missing', '{"version":1}'],
  ['registrations that are none', '{"version":1,"registries":[{"registry":"consul","source":"","entries":[{"firstSeenAt":1,"registration":{"id":7}}]}],"lists":[],"knowledge":[],"owners":[]}'],
  ['owners that are none', '{"version":1,"registries":[],"lists":[],"knowledge":[],"owners":[["a",{"upstream":5}]]}'],
  ['markers that are none', '{"version":1,"registries":[],"lists":[],"markers":[[["a","perhaps"]]],"knowledge":[],"owners":[]}'],
  ['departed names that are none', '{"version":1,"registries":[],"lists":[],"knowledge":[],"owners":[],"departed":[["pay"]]}'],
  ['host names that lead nowhere', '{"version":1,"registries":[],"lists":[],"knowledge":[],"owners":[],"names":[["catalog.internal",["elsewhere"]]]}'],
  ['own nodes that are none', '{"version":1,"registries":[],"lists":[],"knowledge":[],"owners":[],"ownNodes":[["http://a",{"node":7}]]}'],
  ['lists that are none', '{"version":1,"registries":[],"lists":[7],"knowledge":[],"owners":[]}']
] as const) {
  test(`a file that cannot be read is reported, set aside and ignored: ${sentence}`, async t => {
    const directory = await folder(t)
    await writeFile(join(directory, 'control-state.json'), text)
    const problems: string[] = []
    const file = createStateFile(directory, problem => problems.push(problem), { delayMs: 1 })
    assert.equal(await file.load(), undefined)
    const aside = join(directory, 'control-state.json.unreadable')
    assert.deepEqual(problems, [`the kept state cannot be read and is ignored: set aside as ${aside}`])
    file.save(() => state)
    await file.close()
    assert.deepEqual([await readFile(aside, 'utf8'), (await readdir(directory)).toSorted()], [text, ['control-state.json', 'control-state.json.unreadable']])
  })
}

test('a file of before host names were kept is read', () => {
  const { names: _, ...before } = JSON.parse(serializeState(state, new Date(0))) as Record<string, unknown>
  assert.deepEqual(parseState(JSON.stringify(before)).names, [])
})

test('no file is no problem', async t => {
  const problems: string[] = []
  assert.equal(await createStateFile(await folder(t), problem => problems.push(problem)).load(), undefined)
  assert.deepEqual(problems, [])
})

test('several saves become one write, whole, with nothing left beside it', async t => {
  const directory = join(await folder(t), 'made', 'on', 'demand')
  const file = createStateFile(directory, (_, error) => { throw error }, { delayMs: 10 })
  let made = 0
  for (let call = 0; call < 100; call++) file.save(() => { made++; return state })
  await file.close()
  assert.equal(made, 1)
  assert.deepEqual(await readdir(directory), ['control-state.json'])
  assert.equal((await file.load())?.owners.length, 1)
})

test('what could not be written is reported once, not thrown, and tried again until it is written', async t => {
  const directory = join(await folder(t), 'later')
  await writeFile(directory, '')
  const problems: string[] = []
  const kept: boolean[] = []
  const file = createStateFile(directory, problem => problems.push(problem), { delayMs: 1, retryMs: 5, onKept: isKept => kept.push(isKept) })
  t.after(() => file.close())
  let made = 0
  file.save(() => { made++; return state })
  await until('the second time', () => made > 1)
  assert.deepEqual([problems, kept], [['the state could not be kept'], [false]])
  await rm(directory)
  await until('it to be there', () => kept.at(-1))
  assert.deepEqual([(await file.load())?.owners.length, problems.length, kept], [1, 1, [false, true]])
  const { length } = kept
  const times = made
  await file.close()
  assert.deepEqual([made, kept.length], [times, length], 'there is nothing left to write')
})

test('what could not be written before is written at the end', async t => {
  const directory = join(await folder(t), 'later')
  await writeFile(directory, '')
  const failed = Promise.withResolvers<void>()
  const file = createStateFile(directory, () => failed.resolve(), { delayMs: 1, retryMs: 600_000 })
  file.save(() => state)
  await failed.promise
  await rm(directory)
  await file.close()
  assert.deepEqual(await readdir(directory), ['control-state.json'])
})

test('what fails while the end comes is tried once more', async t => {
  const directory = join(await folder(t), 'later')
  await writeFile(directory, '')
  let made = 0
  const file = createStateFile(directory, () => {}, { delayMs: 600_000, retryMs: 600_000 })
  file.save(() => { made++; return state })
  const underWay = file.flush()
  const closing = file.close()
  assert.equal(await underWay, false)
  await closing
  assert.equal(made, 2)
})

test('at the end it is tried once: who stops does not wait for room', async t => {
  const directory = join(await folder(t), 'never')
  await writeFile(directory, '')
  let made = 0
  const file = createStateFile(directory, () => {}, { delayMs: 600_000, retryMs: 1 })
  file.save(() => { made++; return state })
  await file.close()
  assert.equal(made, 1)
})

test('what waits is written at once where somebody waits for it, and he is told whether it could be', async t => {
  const directory = await folder(t)
  const file = createStateFile(directory, () => {}, { delayMs: 600_000, retryMs: 600_000 })
  t.after(() => file.close())
  assert.equal(await file.flush(), true, 'there is nothing to write')
  file.save(() => ({ registries: [], knowledge: [], owners: [['pay', { upstream: 'Orders', since: 1, settled: { at: 2, note: 'why' } }]] }))
  assert.equal(await file.flush(), true)
  const again = await createStateFile(directory, () => {}).load()
  assert.deepEqual(again?.owners, [['pay', { upstream: 'Orders', since: 1, settled: { at: 2, note: 'why' } }]])
  const nowhere = createStateFile(join(directory, 'control-state.json', 'below-a-file'), () => {}, { delayMs: 600_000, retryMs: 600_000 })
  t.after(() => nowhere.close())
  nowhere.save(() => ({ registries: [], knowledge: [], owners: [] }))
  assert.equal(await nowhere.flush(), false)
})
