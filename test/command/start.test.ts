// The command as a process: it starts, says where, takes over changes, survives mistakes, and ends as it is asked to.
import { test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedRegistry } from '../../src/registry/embedded.ts'
import { startFleet } from '../../src/command/demo/fleet.ts'
import { onThisMachine } from '../support/networks.ts'
import { ok, startOrigin } from '../support/origin.ts'
import { until } from '../support/until.ts'
import { startChild, type Child } from './run-command.ts'

const slow = { timeoutMs: 60_000 }
const free = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']

const addressesOf = async (child: Child) => {
  const found = await until('the line that says where it listens', () => {
    if (child.process.exitCode !== null) throw new Error(`ended with ${child.process.exitCode}: ${child.err()}`)
    return /^postern \S+ listening on (\S+) \(admin (\S+)\)$/m.exec(child.out()) ?? undefined
  }, slow)
  return { listener: found[1]!, admin: found[2]! }
}
const directoryOf = async (t: TestContext) => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-start-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}
const statusOf = async (url: string) => {
  const response = await fetch(url)
  await response.arrayBuffer()
  return response.status
}
const stop = async (child: Child, signal: NodeJS.Signals = 'SIGTERM') => {
  child.process.kill(signal)
  return await child.ended
}

test('--consul alone is a useful gateway; one line on stdout; SIGTERM ends it with 0', async t => {
  const registry = await startEmbeddedRegistry({ host: '127.0.0.1', port: 0, networks: onThisMachine })
  const fleet = await startFleet(registry.url)
  t.after(async () => {
    await fleet.close()
    await registry.close()
  })
  await using child = startChild(['start', ...free, '--consul', registry.url], { cwd: await directoryOf(t) })
  const { listener, admin } = await addressesOf(child)
  await until('the message to be routed', async () => await statusOf(`${listener}/json/reply/GetProduct?Id=1`) === 200, slow)
  await until('both instances to be there', async () => /"message":"GetProduct"[^}]*"endpoints":2/.test((await (await fetch(`${admin}/api/routes`)).text()).replaceAll(/\s/g, '')), slow)
  assert.equal(await statusOf(`${listener}/json/reply/RebuildIndex`), 404)
  assert.equal(await statusOf(`${admin}/readyz`), 200)
  await until('the log to say what a restart forgets', () => child.err().includes('"setting":"dataDirectory","msg":"nothing is kept over a restart'), slow)

  await using table = startChild(['routes', '--admin', admin.slice(7)])
  assert.equal(await table.ended, 0)
  assert.match(table.out(), /^GetProduct +routed +Catalog +2 /m)
  assert.match(table.out(), /^RebuildIndex +hidden .*messages\.RebuildIndex\.expose: true$/m)
  assert.ok(!table.out().includes('\u001b'), 'no colours in a pipe')
  await using catalog = startChild(['routes', '--consul', registry.url, '--json', '--state', 'routed', '--wait', '20000'])
  assert.equal(await catalog.ended, 0, catalog.err())
  assert.deepEqual((JSON.parse(catalog.out()) as { routes: Array<{ message: string, endpoints: number }> }).routes.map(({ message, endpoints }) => [message, endpoints]), [['FindProducts', 2], ['GetProduct', 2], ['PlaceOrder', 1]])

  assert.equal(await stop(child), 0)
  assert.equal(child.out().trim().split('\n').length, 1)
})

test('a changed file and SIGHUP are taken over; a wrong one changes nothing and says where it is wrong', async t => {
  const directory = await directoryOf(t)
  await using origin = await startOrigin(ok('here'))
  const file = join(directory, 'postern.yaml')
  const write = async (text: string) => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  const withMessage = (name: string) => `upstreams: {origin: {endpoints: ["${origin.url}"]}}\nmessages: {${name}: {upstream: origin}}\n`
  await write(withMessage('First'))
  // The default file is the one in the working directory.
  await using child = startChild(['start', ...free], { cwd: directory })
  const { listener } = await addressesOf(child)
  const called = (name: string) => until(`${name} to answer`, async () => await statusOf(`${listener}/json/reply/${name}`) === 200, slow)
  await called('First')
  await write(withMessage('Second'))
  await called('Second')
  assert.equal(await statusOf(`${listener}/json/reply/First`), 404)

  await write('mesages: {}\n')
  await until('the refusal in the log', () => child.err().includes('postern.yaml:1:1  mesages: is not a known setting'), slow)
  assert.equal(await statusOf(`${listener}/json/reply/Second`), 200)

  await write(`${withMessage('Third')}admin: {probesAddress: 127.0.0.1:0}\n`)
  await called('Third')
  await until('the setting that needs a restart', () => child.err().includes('admin.probesAddress changed: it counts after a restart'), slow)
  const before = child.err().split('configuration in force').length
  child.process.kill('SIGHUP')
  await until('SIGHUP to be taken over', () => child.err().split('configuration in force').length > before, slow)
  assert.equal(await statusOf(`${listener}/json/reply/Third`), 200)

  // A file that a secret came from counts like the configuration itself.
  await using other = await startOrigin(ok('there'))
  await writeFile(join(directory, 'where'), origin.url)
  await write('upstreams: {origin: {endpoints: ["${file:where}"]}}\nmessages: {Fourth: {upstream: origin}}\n') // eslint-disable-line no-template-curly-in-string
  await called('Fourth')
  await writeFile(join(directory, 'where'), `${other.url}\n`)
  await until('the other origin to answer', async () => await (await fetch(`${listener}/json/reply/Fourth`)).text() === 'there', slow)
  assert.equal(await stop(child, 'SIGINT'), 0)
})

test('what is in flight is finished before the end; a second signal, later, ends at once', async t => {
  const directory = await directoryOf(t)
  let release = () => {}
  const held = new Promise<void>(resolve => { release = resolve })
  let arrived = 0
  await using origin = await startOrigin(async request => {
    arrived++
    await held
    await ok('done')(request)
  })
  await writeFile(join(directory, 'postern.yaml'), `upstreams: {origin: {endpoints: ["${origin.url}"]}}\nmessages: {Slow: {upstream: origin}}\n`)
  const run = async () => {
    const child = startChild(['start', ...free], { cwd: directory })
    const { listener, admin } = await addressesOf(child)
    await until('the table', async () => await statusOf(`${admin}/readyz`) === 200, slow)
    const before = arrived
    const call = fetch(`${listener}/json/reply/Slow`).then(async response => await response.text(), () => 'cut')
    await until('the call to arrive', () => arrived > before, slow)
    child.process.kill('SIGTERM')
    await until('draining', () => child.err().includes('draining'), slow)
    return { child, call }
  }
  const impatient = await run()
  await using one = impatient.child
  // Two within half a second are one: terminals and launchers repeat them.
  const again = setInterval(() => one.process.kill('SIGTERM'), 100)
  t.after(() => clearInterval(again))
  assert.equal(await one.ended, 1)
  clearInterval(again)
  assert.equal(await impatient.call, 'cut')

  const patient = await run()
  await using two = patient.child
  release()
  assert.equal(await patient.call, 'done')
  assert.equal(await two.ended, 0)
})

test('what was learned is kept without a word in the file: a start without the registry serves at once', async t => {
  const cwd = await directoryOf(t)
  await using origin = await startOrigin(ok('here'))
  const registry = await startEmbeddedRegistry({ host: '127.0.0.1', port: 0, networks: onThisMachine })
  let isOpen = true
  const close = async () => { if (isOpen) await registry.close(); isOpen = false }
  t.after(close)
  await writeFile(join(cwd, 'postern.yaml'), 'registry: { consul: { services: [shop] } }\n')
  const body = { ID: 'shop-1', Name: 'shop', Address: '127.0.0.1', Port: Number(new URL(origin.url).port), Meta: { messages: 'Browse' } }
  assert.equal((await fetch(`${registry.url}/v1/agent/service/register`, { method: 'PUT', body: JSON.stringify(body) })).status, 200)
  const env = { ...process.env, STATE_DIRECTORY: join(cwd, 'state') }
  const begin = async () => {
    const child = startChild(['start', ...free, '--consul', registry.url], { cwd, env })
    return { child, ...await addressesOf(child) }
  }
  const first = await begin()
  await using one = first.child
  await until('the message to be routed', async () => await statusOf(`${first.listener}/json/reply/Browse`) === 200, slow)
  await until('the log to say where', () => /"dataDirectory":"[^"]*\/state","msg":"what outlives a restart is kept here"/.test(one.err()), slow)
  assert.equal(await stop(one), 0)
  await close()
  const second = await begin()
  await using two = second.child
  await until('it to be served', async () => await statusOf(`${second.listener}/json/reply/Browse`) === 200, slow)
  assert.equal(await stop(two), 0)
})

test('a second gateway does not start at the data directory of one that runs: it names setting, directory and process; one that was killed is in nobody\'s way', async t => {
  const cwd = await directoryOf(t)
  const env = { ...process.env, STATE_DIRECTORY: join(cwd, 'state') }
  const begin = () => startChild(['start', ...free], { cwd, env })
  await using first = begin()
  await addressesOf(first)
  await using second = begin()
  assert.equal(await second.ended, 1)
  assert.match(second.err(), new RegExp(`^postern: cannot start: dataDirectory [^ ]*/state is in use by another gateway: process ${first.process.pid} on [^ ]+, listener\\.address 127\\.0\\.0\\.1:0\\. Write another dataDirectory`))
  await writeFile(join(cwd, 'postern.yaml'), '')
  await using check = startChild(['check', 'postern.yaml'], { cwd, env })
  assert.equal(await check.ended, 0, check.err())
  first.process.kill('SIGKILL')
  await first.ended
  await using third = begin()
  await addressesOf(third)
  assert.equal(await stop(third), 0)
})

test('a directory that cannot be made is a warning that says what to write, and no reason not to start', async t => {
  const cwd = await directoryOf(t)
  await using child = startChild(['start', ...free], { cwd, env: { ...process.env, STATE_DIRECTORY: '/dev/null/state' } })
  await addressesOf(child)
  await until('the warning', () => /"severity":"warn"[^\n]*"dataDirectory":"\/dev\/null\/state"[^\n]*nothing is kept over a restart[^\n]*Write dataDirectory/.test(child.err()), slow)
  assert.equal(await stop(child), 0)
})

test('an address in use is one clear line and exit code 1', async t => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => blocker.once('listening', resolve))
  t.after(() => blocker.close())
  const address = `127.0.0.1:${(blocker.address() as AddressInfo).port}`
  for (const args of [['--listen', address, '--admin', '127.0.0.1:0'], ['--listen', '127.0.0.1:0', '--admin', address]]) {
    await using child = startChild(['start', ...args], { cwd: await directoryOf(t) })
    assert.equal(await child.ended, 1)
    assert.match(child.err(), new RegExp(`^postern: cannot listen on ${address}: the address is in use\\..*\n$`, 'm'))
    assert.doesNotMatch(child.err(), /\n {4}at /)
    assert.equal(child.out(), '')
  }
})

test('so is that of the embedded registry', async t => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => blocker.once('listening', resolve))
  t.after(() => blocker.close())
  const address = `127.0.0.1:${(blocker.address() as AddressInfo).port}`
  const cwd = await directoryOf(t)
  await writeFile(join(cwd, 'postern.yaml'), `registry: { embedded: { address: "${address}" } }\nlog: { destination: log.txt }\n`)
  await using child = startChild(['start', ...free], { cwd })
  assert.equal(await child.ended, 1)
  assert.match(child.err(), new RegExp(`^postern: cannot start: the embedded registry \\(registry\\.embedded\\.address: ${address}\\) could not be started: .*\n$`))
  assert.equal(child.out(), '')
})

test('nobody to ask is exit code 1 and says whom it asked', async t => {
  await using gateway = startChild(['routes', '--admin', '127.0.0.1:1'])
  assert.equal(await gateway.ended, 1)
  assert.match(gateway.err(), /no gateway answers at http:\/\/127\.0\.0\.1:1 \(ECONNREFUSED\)/)
  const cwd = await directoryOf(t)
  await writeFile(join(cwd, 'postern.yaml'), 'registry: { file: services.yaml }')
  await writeFile(join(cwd, 'services.yaml'), '- a\n')
  await using catalog = startChild(['routes', '--consul', 'http://127.0.0.1:1', '--config', 'postern.yaml', '--wait', '3000'], { cwd })
  assert.equal(await catalog.ended, 1)
  assert.match(catalog.err(), /consul does not answer: .*[\s\S]*no registry answers/)
  assert.match(catalog.err(), /^postern: the services file cannot be read: .*services\.yaml:1:3 {2}\[0\]: must be a service.*\n {2}1 \| - a\n/m)
})

test('the demo: three calls to try, each does what is said, and it ends with its fleet', async () => {
  await using child = startChild(['demo', ...free])
  await until('the greeting', () => child.out().includes('Ctrl-C ends it.'), slow)
  const calls = [...child.out().matchAll(/^ {2}curl (.*?) +#/gm)].map(match => match[1]!)
  assert.equal(calls.length, 3)
  const [answers, inTurn, fails] = calls
  assert.equal(await statusOf(answers!), 200)
  const urls = inTurn!.split(' ').map(url => url.replaceAll("'", ''))
  const instances = await Promise.all(urls.map(async url => (await (await fetch(url)).json() as { instance: string }).instance))
  assert.deepEqual(instances.toSorted(), ['catalog-1', 'catalog-2'])
  const [, body, url] = /^-i -d '(.*)' (\S+)$/.exec(fails!)!
  const failed = await fetch(url!, { method: 'POST', body: body! })
  const { responseStatus } = await failed.json() as { responseStatus: { errorCode: string, errors: Array<{ fieldName: string }> } }
  assert.deepEqual([failed.status, failed.statusText, responseStatus.errorCode, responseStatus.errors[0]?.fieldName], [400, 'NotEmpty', 'NotEmpty', 'Customer'])
  assert.equal(await stop(child), 0)
  assert.equal(child.err(), '')
})
