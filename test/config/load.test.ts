// From a file, the command line or nothing to a whole configuration: defaults, flags, secrets, paths, bounds.
import { test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { parse as parseYaml } from 'yaml'
import { ConfigError, defaultConfig, loadConfig, parseConfig, readConfig, type Overrides } from '../../src/config/load.ts'
import { makeCertificate } from '../support/certificates.ts'
import { configInForce, restartNeeded } from '../../src/config/changes.ts'
import { policyFor, upstreamFor } from '../../src/config/resolve.ts'

const root = join(import.meta.dirname, '../..')
const parse = (text: string, overrides: Overrides = {}) => parseConfig(text, { file: 'postern.yaml', directory: '/etc/postern', overrides, readSecret: (kind, name) => `${kind} ${name}` })
const configOf = (text: string, overrides?: Overrides) => parse(text, overrides).config
const problemsOf = (text: string, overrides?: Overrides) => {
  try {
    parse(text, overrides)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.problems
  }
  return []
}
const directoryOf = async (t: TestContext) => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-config-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

test('nothing at all is a configuration: every default, optional things off', () => {
  const config = defaultConfig()
  assert.deepEqual(configOf(''), config)
  assert.deepEqual(configOf('# only a comment\n'), config)
  assert.equal(config.listener.address, '127.0.0.1:8080')
  assert.equal(config.defaults.policy.deadlineMs, 15_000)
  for (const off of [config.listener.tls, config.admin.probesAddress, config.registry.consul, config.registry.embedded, config.registry.file, config.dataDirectory]) assert.equal(off, undefined)
})

test('optional addresses stay off within a section that is on', () => {
  assert.equal(configOf('listener: {tls: {certificates: [{certFile: a, keyFile: b}]}}').listener.tls?.redirectFrom, undefined)
})

test('a section left empty counts as one without settings, also where it switches something on', () => {
  assert.deepEqual(configOf('registry:\n  consul:\n').registry.consul?.agents, ['http://127.0.0.1:8500'])
  assert.deepEqual(configOf('listener:\n  # address: x\n'), defaultConfig())
})

test('flags win over the file, and switch Consul on', () => {
  const config = configOf('listener: {address: 127.0.0.1:1}\nregistry: {consul: {agents: [http://a:1], datacenter: dc9}}', { listen: '127.0.0.1:2', admin: '127.0.0.1:3', consul: ['http://b:2', 'http://c:3'] })
  assert.equal(config.listener.address, '127.0.0.1:2')
  assert.equal(config.admin.address, '127.0.0.1:3')
  assert.deepEqual([config.registry.consul?.agents, config.registry.consul?.datacenter], [['http://b:2', 'http://c:3'], 'dc9'])
  assert.deepEqual(configOf('', { consul: ['http://b:2'] }).registry.consul?.agents, ['http://b:2'])
})

test('a wrong flag is named; a wrong value of the file that a flag replaces is not', () => {
  const problems = problemsOf('listener: {address: nowhere}\n', { listen: 'x', consul: ['b:8500', 'http://c:3'] })
  assert.deepEqual(problems.map(({ source, path }) => [source, path]), [['--listen', 'listener.address'], ['--consul', 'registry.consul.agents[0]']])
  assert.deepEqual(problemsOf('listener: {address: nowhere}\n', { listen: '127.0.0.1:0' }), [])
  assert.deepEqual(problemsOf('registry: 3\n', { consul: ['http://c:3'] }).map(({ source, path }) => [source, path]), [['postern.yaml', 'registry']])
})

test('secrets are put in wherever they stand; twice the dollar is plain text', () => {
  const config = configOf('registry: {consul: {token: "${env:A}/${file:b/c}", datacenter: "$${env:A}"}}') // eslint-disable-line no-template-curly-in-string
  assert.equal(config.registry.consul?.token, 'env A/file b/c')
  assert.equal(config.registry.consul?.datacenter, '${env:A}') // eslint-disable-line no-template-curly-in-string
})

test('secrets come from the environment and from files beside the configuration, without the last line break', async t => {
  const directory = await directoryOf(t)
  await writeFile(join(directory, 'token'), 'from a file\n')
  await writeFile(join(directory, 'large'), Buffer.alloc(70_000, 'x'))
  await writeFile(join(directory, 'postern.yaml'), 'registry: {consul: {token: "${file:token}", datacenter: "${env:POSTERN_TEST_DC}"}}') // eslint-disable-line no-template-curly-in-string
  process.env['POSTERN_TEST_DC'] = 'dc7'
  t.after(() => { delete process.env['POSTERN_TEST_DC'] })
  const { registry: { consul } } = await loadConfig(join(directory, 'postern.yaml'))
  assert.deepEqual([consul?.token, consul?.datacenter], ['from a file', 'dc7'])
  await writeFile(join(directory, 'postern.yaml'), 'registry: {consul: {token: "${file:large}"}}') // eslint-disable-line no-template-curly-in-string
  await assert.rejects(loadConfig(join(directory, 'postern.yaml')), /longer than 65536 bytes/)
})

test('paths start at the directory of the file', () => {
  const config = configOf('dataDirectory: data\nregistry: {file: /abs/services.yaml, consul: {tls: {caFile: ../ca.pem}}}\nlog: {destination: stdout, securityDestination: s.log}')
  assert.deepEqual(
    [config.dataDirectory, config.registry.file, config.registry.consul?.tls?.caFile, config.log.destination, config.log.securityDestination],
    ['/etc/postern/data', '/abs/services.yaml', '/etc/ca.pem', 'stdout', '/etc/postern/s.log'])
})

test('what cannot be read is said in a line', async t => {
  const directory = await directoryOf(t)
  const endless = join(directory, 'endless.yaml')
  await symlink('/dev/zero', endless)
  await writeFile(join(directory, 'latin1.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xe4]))
  await assert.rejects(loadConfig(join(directory, 'none.yaml')), /none\.yaml {2}there is no such file$/)
  await assert.rejects(loadConfig(directory), /is a directory/)
  await assert.rejects(loadConfig(endless), /longer than 4194304 bytes/)
  await assert.rejects(loadConfig(join(directory, 'latin1.yaml')), /not UTF-8/)
})

test('a byte order mark is no mistake', async t => {
  const file = join(await directoryOf(t), 'postern.yaml')
  await writeFile(file, '\uFEFFdrainMs: 7\n')
  assert.equal((await loadConfig(file)).drainMs, 7)
})

test('texts made to hurt are refused in seconds', () => {
  const bomb = `${Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(i === 0 ? 'x' : `*a${i}`).join(',')}]`).join('\n')}\n`
  // Of the processor: how busy the machine is says nothing of it.
  const started = process.cpuUsage()
  assert.match(problemsOf(bomb)[0]!.message, /anchors/)
  assert.notEqual(problemsOf('['.repeat(100_000)).length, 0)
  assert.notEqual(problemsOf(`${'{a: '.repeat(20_000)}1`).length, 0)
  assert.match(problemsOf(`admin: &a {}\nb: [${'*a,'.repeat(50_000)}]`)[0]!.message, /aliases/)
  assert.equal(problemsOf(`messages:\n${Array.from({ length: 20_000 }, (_, i) => `  M${i}: {expose: true}`).join('\n')}`).length, 0)
  const { user, system } = process.cpuUsage(started)
  assert.ok((user + system) / 1_000 < 20_000)
})

test('many mistakes are cut off in print, not in the list', () => {
  const text = Array.from({ length: 200 }, (_, i) => `key${i}: 1`).join('\n')
  assert.equal(problemsOf(text).length, 200)
  assert.throws(() => parse(text), /… and 150 more$/)
})

const doubtful: Array<[string, string, string]> = [
  ['nothing to serve', '{}', 'registry'],
  ['a certificate that is not verified', 'registry: {consul: {}}\nupstreams: {a: {tls: {verify: false}}}', 'upstreams.a.tls.verify'],
  ['believing tags', 'registry: {consul: {}}\nupstreams: {a: {trustTags: true}}', 'upstreams.a.trustTags'],
  ['a message that nothing lets out', 'registry: {consul: {}}\nmessages: {Heartbeat: {upstream: Catalog, expose: true}}', 'messages.Heartbeat'],
  ['a token in the file', 'registry: {consul: {token: abc}}', 'registry.consul.token'],
  ['an admin listener for all', 'registry: {consul: {}}\nadmin: {address: 0.0.0.0:9901}', 'admin.address'],
  ['everybody a trusted proxy', 'registry: {consul: {}}\nedge: {trustedProxies: [0.0.0.0/0]}', 'edge.trustedProxies[0]'],
  ['answers to POST that nothing makes reusable', 'registry: {consul: {}}\nmessages: {A: {policy: {cache: {methods: [POST]}}}, B: {policy: {effect: safe, cache: {methods: [POST]}}}, C: {policy: {cache: {methods: [QUERY]}}}}', 'messages.A.policy.cache.methods'],
  ['strangers who debug', 'registry: {consul: {}}\nedge: {debugKeys: allow}', 'edge.debugKeys']
]
for (const [name, text, path] of doubtful) {
  test(`warns of ${name}`, () => assert.deepEqual(parse(text).warnings.map(warning => warning.path), [path]))
}

test('a secret token gives no warning, an upstream of fixed endpoints is something to serve', () => {
  assert.deepEqual(parse('registry: {consul: {token: "${env:A}"}}').warnings, []) // eslint-disable-line no-template-curly-in-string
  assert.deepEqual(parse('upstreams: {a: {endpoints: [http://10.0.0.1]}}').warnings, [])
})

test('with a registry any upstream may turn up', () => {
  assert.deepEqual(problemsOf('registry: {embedded: {}}\nmessages: {Authenticate: {upstream: Identity}}\nprefixes: {/x/*: {upstream: other}}'), [])
})

test('a mistake in one value does not hide the others, nor invent any', () => {
  const problems = problemsOf('registry: {consul: {agents: 1}}\nupstreams: {a: {endpoints: nope}}\nprefixes: {/x/*: {upstream: a}, /json/*: {upstream: a}}')
  assert.deepEqual(problems.map(({ path }) => path), ['registry.consul.agents', 'upstreams.a.endpoints', 'prefixes."/json/*"'])
})

test('the example is right, and right for editors too', async () => {
  const file = join(root, 'config/postern.example.yaml')
  assert.deepEqual((await readConfig(file)).warnings, [])
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true })
  const check = ajv.compile(JSON.parse(await readFile(join(root, 'config/postern.schema.json'), 'utf8')))
  assert.ok(check(parseYaml(await readFile(file, 'utf8'))), JSON.stringify(check.errors))
  assert.ok(check({}))
  assert.ok(check({ registry: { consul: null } }))
  assert.ok(!check({ listner: {} }))
  assert.ok(!check({ prefixes: { '/x/*': {} } }))
})

test('limits: the message over its upstream over the defaults', () => {
  const config = configOf(`
registry: {consul: {}}
defaults: {policy: {deadlineMs: 9000}}
upstreams: {a: {policy: {deadlineMs: 8000, attempts: 1}, bulkhead: {maxQueue: 3}, breaker: {windowMs: 2000}}}
messages: {PlaceOrder: {policy: {deadlineMs: 7000}}}
prefixes: {/x/*: {upstream: a, policy: {attempts: 3}}}`)
  const limits = (upstream: string, key: string | undefined) => { const { deadlineMs, attempts } = policyFor(config, upstream, key); return [deadlineMs, attempts] }
  assert.deepEqual(limits('a', 'placeorder'), [7_000, 1])
  assert.deepEqual(limits('b', 'placeorder'), [7_000, 2])
  assert.deepEqual(limits('a', 'other'), [8_000, 1])
  assert.deepEqual(limits('a', '/x/*'), [8_000, 3])
  assert.deepEqual(limits('b', undefined), [9_000, 2])
  assert.deepEqual([upstreamFor(config, 'a').bulkhead.maxQueue, upstreamFor(config, 'b').bulkhead.maxQueue], [3, 128])
  assert.equal(upstreamFor(config, 'a').breaker.windowMs, 2_000)
})

test('thresholds of a message\'s breaker: its own, else its upstream\'s policy, else its upstream\'s breaker', () => {
  const config = configOf(`
registry: {consul: {}}
defaults: {breaker: {trials: 4}}
upstreams: {a: {breaker: {windowMs: 2000, consecutiveFailures: 7}, policy: {messageBreaker: {rampMs: 9}}}, off: {breaker: {enabled: false}}}
messages: {Export: {policy: {messageBreaker: {consecutiveFailures: 3, resetTimeoutMs: 60000}}}}`)
  const of = (upstream: string, key: string | undefined) => {
    const { enabled, consecutiveFailures, windowMs, resetTimeoutMs, trials, rampMs } = policyFor(config, upstream, key).messageBreaker
    return [enabled, consecutiveFailures, windowMs, resetTimeoutMs, trials, rampMs]
  }
  assert.deepEqual(of('a', 'export'), [true, 3, 2_000, 60_000, 4, 9])
  assert.deepEqual(of('a', 'other'), [true, 7, 2_000, 2_000, 4, 9])
  assert.deepEqual(of('b', 'export'), [true, 3, 10_000, 60_000, 4, 1_500])
  assert.deepEqual(of('off', 'export'), [false, 3, 10_000, 60_000, 4, 1_500])
})

test('what needs a restart is said once for each', () => {
  const before = configOf('')
  assert.deepEqual(restartNeeded(before, configOf('drainMs: 1\nupstreams: {a: {}}\nedge: {debugKeys: refuse}')), [])
  assert.deepEqual(restartNeeded(before, configOf('listener: {address: 127.0.0.1:9}\nlog: {level: warn}')).map(sentence => sentence.split(' ')[0]), ['listener.address', 'log'])
})

test('what is shown as in force keeps what only a restart changes, and takes the rest', () => {
  const tls = (file: string, more = '') => `tls: {${more} certificates: [{certFile: ${file}, keyFile: ${file}}]}`
  const rows = [
    ['', `drainMs: 1\ndataDirectory: d\nlistener: {address: 127.0.0.1:9, limits: {bodyBytes: 7}, ${tls('a')}}\nadmin: {probesAddress: 127.0.0.1:7}\nlog: {level: warn}`],
    [`dataDirectory: d\nlistener: {${tls('a')}}`, `listener: {${tls('b', 'http2: false, redirectFrom: 127.0.0.1:5,')}}`],
    [`listener: {${tls('a')}}`, 'drainMs: 1']
  ] as const
  for (const [before, after] of rows) {
    const [started, next] = [configOf(before), configOf(after)]
    assert.notDeepEqual(restartNeeded(started, next), [])
    assert.deepEqual(restartNeeded(started, configInForce(started, next)), [])
    assert.equal(configInForce(started, next).drainMs, next.drainMs)
  }
  const [started, next] = rows.map(([before, after]) => configInForce(configOf(before), configOf(after)))
  assert.equal(started?.listener.limits.bodyBytes, 7)
  assert.equal(next?.listener.tls?.certificates[0]?.certFile, '/etc/postern/b')
  assert.deepEqual(configInForce(configOf(''), configOf('')), configOf(''))
})

test('certificate files that cannot be used are mistakes like others: with line, column and reason', async t => {
  const directory = await directoryOf(t)
  const [one, other] = [await makeCertificate(['a.test']), await makeCertificate(['b.test'])]
  t.after(() => Promise.all([one.remove(), other.remove()]))
  await writeFile(join(directory, 'empty.pem'), 'nothing\n')
  const file = join(directory, 'postern.yaml')
  await writeFile(file, `listener:
  tls:
    certificates:
      - { certFile: ${one.certFile}, keyFile: ${other.keyFile} }
      - certFile: gone.pem
        keyFile: empty.pem
registry: { consul: { tls: { caFile: /dev/zero } } }
upstreams:
  catalog:
    endpoints: [https://10.0.0.1]
    tls: { caFile: ${directory} }
`)
  const problems = await readConfig(file).then(() => [], (error: unknown) => error instanceof ConfigError ? error.problems : assert.fail(String(error)))
  assert.deepEqual(problems.map(({ place, path, message }) => [place?.line, place?.column, path, message]), [
    [4, problems[0]?.place?.column, 'listener.tls.certificates[0].keyFile', `the key does not belong to the certificate in ${one.certFile}`],
    [5, 19, 'listener.tls.certificates[1].certFile', 'gone.pem: there is no such file'],
    [6, 18, 'listener.tls.certificates[1].keyFile', 'empty.pem does not hold a private key in PEM format'],
    [7, 38, 'registry.consul.tls.caFile', '/dev/zero: is longer than 4194304 bytes'],
    [11, 20, 'upstreams.catalog.tls.caFile', `${directory}: is a directory, not a file`]
  ])
  // Who uses none of them (postern routes) need not be able to read them.
  assert.equal((await readConfig(file, {}, { pemFiles: false })).config.listener.tls?.certificates.length, 2)
  await writeFile(file, `listener: { tls: { certificates: [{ certFile: ${one.certFile}, keyFile: ${one.keyFile} }] } }`)
  assert.deepEqual((await readConfig(file)).warnings.filter(({ path }) => path.startsWith('listener')), [])
})
