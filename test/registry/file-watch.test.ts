// services.yaml: what is read of it, what is wrong with it, and what its changes do.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { watchFile } from '../../src/registry/file-watch.ts'
import type { Snapshot, WatchState } from '../../src/registry/registration.ts'
import { readServicesFile } from '../../src/registry/services-file.ts'
import { until } from '../support/until.ts'

test('an entry may say everything', () => {
  const [found] = readServicesFile(`
- service: orders
  url: http://10.0.0.5:8080/api/
  messages: [PlaceOrder, CancelOrder]
  version: "1.10"
  weight: 3
  tags: [blue]
  meta: { team: orders }
  servicestack: true
`, 'services.yaml')
  assert.deepEqual(found, {
    id: 'orders@http://10.0.0.5:8080/api',
    registry: 'file',
    registeredAs: 'orders',
    service: 'orders',
    kind: 'plugin',
    address: { url: 'http://10.0.0.5:8080/api', origin: 'http://10.0.0.5:8080', basePath: '/api' },
    refused: undefined,
    names: ['PlaceOrder', 'CancelOrder'],
    version: '1.10',
    tags: ['blue'],
    meta: { team: 'orders' },
    weights: { passing: 3, warning: 3 },
    health: 'unchecked',
    checkless: true,
    notes: undefined,
    createIndex: 1,
    node: '',
    datacenter: undefined,
    ownNode: true
  })
})
test('service and url are enough, and make an ordinary service', () => {
  const [first, second] = readServicesFile('- { service: a, url: "http://h:1" }\n- { service: a, url: "http://h:2" }', 'services.yaml')
  assert.equal(first!.kind, 'plain')
  assert.deepEqual(first!.weights, { passing: 1, warning: 1 })
  assert.notEqual(first!.id, second!.id)
})
test('the example is right, and has every key there is', async () => {
  const text = await readFile(new URL('../../config/services.example.yaml', import.meta.url), 'utf8')
  const services = readServicesFile(text, 'services.example.yaml')
  assert.deepEqual(services.map(({ service, kind, names }) => [service, kind, names]), [['Catalog', 'plugin', ['GetProduct', 'FindProducts']], ['pricing', 'plain', ['GetPrice']], ['legacy', 'plain', []]])
  for (const key of ['service', 'url', 'messages', 'version', 'weight', 'tags', 'meta', 'servicestack']) assert.match(text, new RegExp(`^[- ] ${key}:`, 'm'))
})

test('no services are written as an empty list', () => assert.deepEqual(readServicesFile('[]', 's'), []))

for (const [sentence, text, expected] of [
  ['broken YAML', '- service: a\n  url: "x', /services\.yaml:\d+:\d+ {2}not valid YAML/],
  ['an empty file, as an editor leaves it for a moment', '', /is empty. Hint: Write \[\]/],
  ['a list below a key', 'services:\n  - name: a\n', /services\.yaml:1:1 {2}services: is one level too many: the file is the list itself\. Hint: Take the line "services:" away/],
  ['one service in place of a list', 'service: a\nurl: http://h:1', /services\.yaml:1:1 {2}must be a list/],
  ['what a first guess calls a key', '- name: a\n  address: http://h:1', /services\.yaml:1:3 {2}\[0\]\.name: is not a known setting\. Hint: It is written service\. [^]*address: [^]*It is written url\./],
  ['an entry that is no service', '- a', /services\.yaml:1:3 {2}\[0\]: must be a service/],
  ['no service name', '- url: http://h:1', /\[0\]\.service: must be the name/],
  ['no url', '- service: a', /\[0\]\.url: must be a base URL/],
  ['an url of another scheme', '- service: a\n  url: ftp://h', /services\.yaml:2:8 {2}\[0\]\.url: this has the scheme ftp/],
  ['an unknown key', '- service: a\n  url: http://h:1\n  wieght: 2', /services\.yaml:3:3 {2}\[0\]\.wieght: is not a known setting/],
  ['a version that YAML read as a number', '- service: a\n  url: http://h:1\n  version: 1.10', /version: must be text. Hint: Put it in quotes/],
  ['a weight that is none', '- service: a\n  url: http://h:1\n  weight: -1', /weight: must be a whole number/],
  ['messages that are no list', '- service: a\n  url: http://h:1\n  messages: A', /messages: must be a list/],
  ['a message that can be none', '- service: a\n  url: http://h:1\n  messages: ["a/b"]', /names that no message can have/],
  ['the same address twice', '- service: a\n  url: http://h:1\n- service: a\n  url: http://H:1/', /services\.yaml:3:3 .*stands here twice/],
  ['every mistake at once', '- service: 1\n  url: http://h:1\n- service: b\n  url: 2', /\[0\]\.service[^]*\[1\]\.url/]
] as const) {
  test(`refused with its place: ${sentence}`, () => {
    assert.throws(() => readServicesFile(text, 'services.yaml'), (error: Error) => {
      assert.match(error.message, expected)
      return true
    })
  })
}

async function watched (t: TestContext, text: string | undefined) {
  const folder = await mkdtemp(join(tmpdir(), 'postern-services-'))
  const file = join(folder, 'services.yaml')
  if (text !== undefined) await writeFile(file, text)
  const snapshots: Snapshot[] = []
  const states: WatchState[] = []
  const watch = watchFile(file, { snapshot: (snapshot) => { snapshots.push(snapshot) }, state: (state) => { states.push(state) } }, { debounceMs: 20, pollMs: 200 })
  t.after(async () => {
    await watch.close()
    await rm(folder, { recursive: true })
  })
  const services = () => snapshots.at(-1)?.registrations.map(({ service }) => service).join()
  /** Whole: who reads it in between reads the old one. */
  const replace = async (text: string) => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  return { folder, file, replace, snapshots, states, watch, listed: (names: string) => until(`[${names}]`, () => services() === names), services }
}
const entry = (service: string) => `- { service: ${service}, url: "http://10.0.0.5:8080" }\n`

test('a change of the file is a snapshot; a broken file changes nothing and says where', async (t) => {
  const { replace, states, listed, snapshots } = await watched(t, entry('a'))
  await listed('a')
  assert.equal(states.at(-1)!.ok, true)
  await replace(entry('b'))
  await listed('b')
  await replace(`${entry('c')}- oops\n`)
  const bad = await until('the error', () => states.find(({ ok }) => !ok))
  assert.match(bad.error!, /services\.yaml:2:3/)
  assert.equal(typeof bad.lastGoodAt, 'number')
  await until('two polls', () => states.length >= 3 || undefined)
  assert.equal(snapshots.length, 2)
  await replace(entry('d'))
  await listed('d')
  assert.equal(states.at(-1)!.ok, true)
})
test('a file put in place of the old one is noticed, as editors and config maps do it', async (t) => {
  const { folder, file, listed } = await watched(t, undefined)
  for (const name of ['one', 'two']) {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'services.yaml'), entry(name))
  }
  await symlink(join(folder, 'one', 'services.yaml'), join(folder, 'link'))
  await rename(join(folder, 'link'), file)
  await listed('one')
  await symlink(join(folder, 'two', 'services.yaml'), join(folder, 'link'))
  await rename(join(folder, 'link'), file)
  await listed('two')
})
test('a file that is not there is told, awaited, and keeps its last list when it goes', async (t) => {
  const { file, states, listed, snapshots, services } = await watched(t, undefined)
  await until('the error', () => states.at(-1)?.error?.includes('ENOENT'))
  assert.equal(states.at(-1)!.lastGoodAt, undefined)
  assert.equal(snapshots.length, 0)
  await writeFile(file, entry('a'))
  await listed('a')
  await rm(file)
  await until('the error', () => states.at(-1)?.error?.includes('ENOENT'))
  assert.equal(services(), 'a')
  await writeFile(file, entry('a'))
  await until('it to be good again', () => states.at(-1)?.ok)
})
test('nothing is reported after closing', async (t) => {
  const { file, snapshots, listed, watch } = await watched(t, entry('a'))
  await listed('a')
  await watch.close()
  const { length } = snapshots
  await writeFile(file, entry('b'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(snapshots.length, length)
})
