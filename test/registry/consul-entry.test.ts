// What every kind of catalog entry becomes: rows are sentences; then every entry of the recorded lifecycle.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readEntry } from '../../src/registry/consul-entry.ts'
import type { EntryRules } from '../../src/registry/consul-entry.ts'
import type { Registration } from '../../src/registry/registration.ts'
import { healthEntry } from '../support/fake-consul.ts'

const rules: EntryRules = { registry: 'consul', isOurs: node => node === 'vm', messageMetaKey: 'messages', ignoreTags: [] }
const guid = '0b5ae5f1-7a1c-4c6e-9a51-0f1f7a3c9d11'
const node = { Node: 'vm', CheckID: 'serfHealth', Status: 'passing', Output: 'Agent alive and reachable', ServiceID: '', Type: '' }
const check = (over: object): object => ({ CheckID: 'c', Status: 'critical', Output: '', Notes: '', ServiceID: 's', Type: 'http', ...over })

function read (entry: unknown, over: Partial<EntryRules> = {}): Registration {
  const result = readEntry(entry, { ...rules, ...over })
  assert.ok('registration' in result, JSON.stringify(result))
  return result.registration
}
const ofService = (service: object, over: Partial<EntryRules> = {}, nodeOf: object = {}): Registration =>
  read(healthEntry('x', { service, node: nodeOf }), over)

const health: Array<[sentence: string, checks: object[], expected: Registration['health'], notes?: string]> = [
  ['only the node check is unchecked: the plugin registers its checks after the service', [node], 'unchecked'],
  ['no check at all is unchecked', [], 'unchecked'],
  ['all passing is passing', [node, check({ Status: 'passing', Output: 'HTTP GET: 200 OK' })], 'passing'],
  ['passing with empty output is passing', [node, check({ Status: 'passing' })], 'passing'],
  ['an http check that has not run is unchecked', [node, check({})], 'unchecked'],
  ['a tcp check that has not run is unchecked', [node, check({ Type: 'tcp' })], 'unchecked'],
  ['a grpc check that has not run is unchecked', [node, check({ Type: 'grpc' })], 'unchecked'],
  ['one check passed, one not run is unchecked', [node, check({ Status: 'passing', Output: '200' }), check({})], 'unchecked'],
  ['one check failed, one not run is critical', [node, check({ Output: 'connection refused' }), check({})], 'critical', 'connection refused'],
  ['one check warns, one not run is critical', [node, check({ Status: 'warning', Output: 'slow' }), check({})], 'critical'],
  ['a TTL check never fed is critical', [node, check({ Type: 'ttl' })], 'critical'],
  ['a script check that has not run is critical', [node, check({ Type: 'script' })], 'critical'],
  ['a check without a type that is no check of the plugin is critical', [node, check({ Type: undefined })], 'critical'],
  ['older Consul: the plugin\'s heartbeat without Type is http', [node, check({ Type: undefined, CheckID: `ss-A-${guid}:SS-Heartbeat` })], 'unchecked'],
  ['older Consul: the plugin\'s redis check without Type is tcp', [node, check({ Type: undefined, CheckID: `ss-A-${guid}:SS-Redis` })], 'unchecked'],
  ['older Consul: a Definition tells the type', [node, check({ Type: undefined, Definition: { HTTP: 'http://x/' } })], 'unchecked'],
  ['older Consul: a Definition with TTL is critical', [node, check({ Type: undefined, Definition: { TTL: '10s' } })], 'critical'],
  ['a warning is warning', [node, check({ Status: 'warning', Output: '429' })], 'warning', '429'],
  ['a warning with empty output is warning, for a check never starts as that', [node, check({ Status: 'warning' })], 'warning'],
  ['the worst check gives the notes', [node, check({ Status: 'warning', Output: 'slow' }), check({ Output: 'refused' })], 'critical', 'refused'],
  ['a critical node is critical whatever the service\'s checks say', [{ ...node, Status: 'critical', Output: 'Agent not live or unreachable' }, check({ Status: 'passing' })], 'critical', 'Agent not live or unreachable'],
  ['a critical node check with empty output is critical, not unchecked', [check({ ServiceID: '' })], 'critical'],
  ['service maintenance is an order', [node, check({ CheckID: '_service_maintenance:s', Type: 'maintenance', Notes: 'db move' }), check({ Status: 'passing' })], 'maintenance', 'db move'],
  ['service maintenance wins over unchecked ones', [node, check({}), check({ CheckID: '_service_maintenance:s', Notes: 'db move' })], 'maintenance', 'db move'],
  ['node maintenance is an order', [check({ CheckID: '_node_maintenance', ServiceID: '', Notes: 'kernel' })], 'maintenance', 'kernel'],
  ['maintenance without notes says so', [check({ CheckID: '_node_maintenance', ServiceID: '' })], 'maintenance', 'maintenance'],
  ['a status that Consul does not have is critical', [node, check({ Status: 'fine', Output: 'x' })], 'critical'],
  ['a check that is no object is passed over', [node, check({ Status: 'passing' }), null as unknown as object], 'passing']
]
for (const [sentence, checks, expected, notes] of health) {
  test(`health: ${sentence}`, () => {
    const found = read(healthEntry('x', { checks }))
    assert.equal(found.health, expected)
    if (notes !== undefined) assert.equal(found.notes, notes)
    assert.equal(found.refused, undefined)
  })
}

const addresses: Array<[sentence: string, service: object, url: string | RegExp, nodeOf?: object]> = [
  ['a base URL with a trailing slash loses it', { Address: 'http://127.0.0.1:9101/' }, 'http://127.0.0.1:9101'],
  ['a base path is kept', { Address: 'http://127.0.0.1:9202/sub/api' }, 'http://127.0.0.1:9202/sub/api'],
  ['a base path loses its trailing slash', { Address: 'http://h:9202/sub/api/' }, 'http://h:9202/sub/api'],
  ['a URL wins over the port beside it', { Address: 'http://h:9202/', Port: 1 }, 'http://h:9202'],
  ['the implied port stays implied', { Address: 'https://h:443/', Port: 443 }, 'https://h'],
  ['letter case of scheme and host does not matter, that of the path does', { Address: 'HTTP://Host:1/Api' }, 'http://host:1/Api'],
  ['blanks around it do not matter', { Address: ' http://h:1/ ' }, 'http://h:1'],
  ['host and port', { Address: '10.0.0.7', Port: 8080 }, 'http://10.0.0.7:8080'],
  ['host name and port', { Address: 'orders.internal', Port: 8080 }, 'http://orders.internal:8080'],
  ['an empty address falls back to the node\'s', { Address: '', Port: 8080 }, 'http://10.9.9.9:8080', { Address: '10.9.9.9' }],
  ['an IPv6 address is put in brackets', { Address: 'fd00::0007', Port: 8080 }, 'http://[fd00::7]:8080'],
  ['an IPv6 address in brackets stays so', { Address: '[fd00::7]', Port: 8080 }, 'http://[fd00::7]:8080'],
  ['an IPv6 node address', { Address: '', Port: 80 }, 'http://[fd00::7]', { Address: 'fd00::7' }],
  ['a port within the address', { Address: '10.0.0.7:8081', Port: 0 }, 'http://10.0.0.7:8081'],
  ['IPv4 in other forms is one address', { Address: '0x7f.1', Port: 8080 }, 'http://127.0.0.1:8080'],
  ['Meta.scheme says https', { Address: 'h', Port: 8443, Meta: { scheme: 'https' } }, 'https://h:8443'],
  ['no port is refused', { Address: 'h', Port: 0 }, /no usable port/],
  ['a port of the wrong type is refused', { Address: 'h', Port: '80' }, /no usable port/],
  ['a port beyond 65535 is refused', { Address: 'h', Port: 65536 }, /no usable port/],
  ['another scheme is refused', { Address: 'ftp://h/' }, /scheme ftp/],
  ['a broken URL is refused', { Address: 'http://h:99999/' }, /not a valid URL/],
  ['a URL with credentials is refused', { Address: 'http://u:p@h/' }, /user name or a password/],
  ['a URL with a query is refused', { Address: 'http://h/?a=1' }, /query/],
  ['a URL with port 0 is refused', { Address: 'http://h:0/' }, /port 0/],
  ['host and path without a scheme is refused', { Address: 'h/api', Port: 1 }, /neither a URL nor a host/],
  ['an interface-bound IPv6 address is refused', { Address: 'fe80::1%eth0', Port: 1 }, /network interface/],
  ['no address anywhere is refused', { Address: '', Port: 1 }, /no address/, { Address: '' }],
  ['an address that is no text falls back to the node\'s', { Address: 7, Port: 1 }, 'http://127.0.0.1:1']
]
for (const [sentence, service, url, nodeOf] of addresses) {
  test(`address: ${sentence}`, () => {
    const found = ofService(service, {}, nodeOf)
    if (typeof url === 'string') {
      assert.equal(found.refused, undefined)
      assert.equal(found.address?.url, url)
      assert.equal(found.address.origin + found.address.basePath, url)
      assert.equal(new URL(found.address.origin).origin, found.address.origin)
    } else {
      assert.match(found.refused!, url)
      assert.equal(found.address, undefined)
    }
  })
}

const shapes: Array<[sentence: string, service: object, over: Partial<EntryRules>, expected: Partial<Registration>]> = [
  ['the plugin\'s: service name from the id, version and every other tag from the tags',
    { ID: `ss-Orders-${guid}`, Tags: ['ss-version-2.0', 'PlaceOrder', 'team-orders'] }, {},
    { kind: 'plugin', service: 'Orders', registeredAs: 'api', version: '2.0', names: ['PlaceOrder', 'team-orders'] }],
  ['a service name may contain dashes', { ID: `ss-My-Own-Service-${guid}` }, {}, { kind: 'plugin', service: 'My-Own-Service' }],
  ['a service name may look like a guid itself', { ID: `ss-${guid}-${guid}` }, {}, { kind: 'plugin', service: guid }],
  ['an id without a guid keeps the Consul name; version tag and URL still tell the plugin', { ID: 'mine' }, {}, { kind: 'plugin', service: 'api', names: ['PlaceOrder'] }],
  ['no version tag: the id still tells the plugin', { ID: `ss-Orders-${guid}`, Tags: ['PlaceOrder'] }, {}, { kind: 'plugin', version: undefined, names: ['PlaceOrder'] }],
  ['two version tags: the first counts', { ID: `ss-Orders-${guid}`, Tags: ['ss-version-1.0', 'ss-version-2.0'] }, {}, { version: '1.0', names: [] }],
  ['Meta names a version where no tag does', { ID: 'o1', Service: 'orders', Tags: [], Address: 'h', Meta: { version: '2.1' } }, {}, { kind: 'plain', version: '2.1' }],
  ['the version tag is the stronger word', { ID: `ss-O-${guid}`, Tags: ['ss-version-1.0'], Meta: { version: '2.1' } }, {}, { version: '1.0' }],
  ['an empty version in Meta is none', { ID: 'o1', Service: 'orders', Tags: [], Address: 'h', Meta: { version: '' } }, {}, { version: undefined }],
  ['names differing in case only are one', { ID: `ss-O-${guid}`, Tags: ['ss-version-1', 'PlaceOrder', 'placeorder'] }, {}, { names: ['PlaceOrder'] }],
  ['ignored tags are no names', { ID: `ss-O-${guid}`, Tags: ['ss-version-1', 'A', 'team-x', 'TEAM-y'] }, { ignoreTags: ['team-*'] }, { names: ['A'] }],
  ['a pattern is no regular expression', { ID: `ss-O-${guid}`, Tags: ['ss-version-1', 'A.B', 'AxB'] }, { ignoreTags: ['a.b'] }, { names: ['AxB'] }],
  ['the environment tag is no name', { ID: `ss-O-${guid}`, Tags: ['ss-version-1', 'A', 'Prod'] }, { environmentTag: 'prod' }, { names: ['A'] }],
  ['what cannot stand in a path is no name', { ID: `ss-O-${guid}`, Tags: ['ss-version-1', 'A', 'a b', 'a/b', 'a?b', 'a%2fb', 'a\u0000', '', 'x'.repeat(257), 'Page`1', 'Outer.Inner'] }, {}, { names: ['A', 'Page`1', 'Outer.Inner'] }],
  ['the 2016 shape: req- marks messages, the id holds the version', { ID: 'SS-ServiceAv2-0', Service: 'SS-ServiceA', Tags: ['ServiceStack', 'req-EchoA', 'one'] }, {},
    { kind: 'req', service: 'SS-ServiceA', version: '2.0', names: ['EchoA'] }],
  ['an ordinary service has no names without a rule', { ID: 'o1', Service: 'orders', Tags: ['primary', 'v1'], Address: 'h' }, {}, { kind: 'plain', service: 'orders', names: [], version: undefined }],
  ['an ordinary service names messages by the prefix', { ID: 'o1', Service: 'orders', Tags: ['primary', 'msg-PlaceOrder'], Address: 'h' }, { messageTagPrefix: 'msg-' }, { kind: 'plain', names: ['PlaceOrder'] }],
  ['an ordinary service may use req- without being ServiceStack', { ID: 'o1', Service: 'orders', Tags: ['req-A', 'b'], Address: 'h' }, { messageTagPrefix: 'req-' }, { kind: 'plain', names: ['A'] }],
  ['an ordinary service names messages in Meta', { ID: 'o1', Service: 'orders', Tags: [], Address: 'h', Meta: { messages: 'PlaceOrder, CancelOrder  Ship;Bill' } }, {}, { names: ['PlaceOrder', 'CancelOrder', 'Ship', 'Bill'] }],
  ['the Meta key is configurable', { ID: 'o1', Service: 'orders', Tags: [], Address: 'h', Meta: { messages: 'A', handles: 'B' } }, { messageMetaKey: 'handles' }, { names: ['B'] }],
  ['a Meta key named as a member of every object finds nothing', { ID: 'o1', Service: 'orders', Tags: [], Address: 'h', Meta: {} }, { messageMetaKey: 'constructor' }, { names: [] }],
  ['weights are taken', { Weights: { Passing: 10, Warning: 2 } }, {}, { weights: { passing: 10, warning: 2 } }],
  ['weights may be 0', { Weights: { Passing: 0, Warning: 0 } }, {}, { weights: { passing: 0, warning: 0 } }],
  ['no weights are 1', { Weights: undefined }, {}, { weights: { passing: 1, warning: 1 } }],
  ['mad weights are bounded', { Weights: { Passing: -5, Warning: 1e9 } }, {}, { weights: { passing: 1, warning: 65_535 } }],
  ['tags of the wrong type are none', { ID: `ss-O-${guid}`, Tags: 'PlaceOrder' }, {}, { names: [], tags: [] }],
  ['tags that are no text are passed over', { ID: `ss-O-${guid}`, Tags: [null, 'A', 3] }, {}, { names: ['A'] }]
]
for (const [sentence, service, over, expected] of shapes) {
  test(`shape: ${sentence}`, () => {
    const found = ofService(service, over)
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(found[key as keyof Registration], value, key)
  })
}

test('a mesh proxy is refused with the reason', () => {
  assert.match(ofService({ Kind: 'connect-proxy' }).refused!, /connect-proxy of the service mesh/)
})
test('an entry without its checks is refused, for it might be in maintenance', () => {
  assert.match(read({ ...healthEntry('x'), Checks: undefined }).refused!, /without its checks/)
})
for (const [sentence, over, reason] of [
  ['without its checks', { Checks: undefined }, /without its checks/],
  ['checks of the wrong type', { Checks: 'none' }, /without its checks/],
  ['a check of the wrong type', { Checks: [null] }, /a check of it cannot be read/],
  ['a check whose status is no text', { Checks: [{ ...check({}), Status: 3 }] }, /a check of it cannot be read/],
  ['tags of the wrong type', { Service: { Tags: 'PlaceOrder' } }, /tags are no list of texts/],
  ['without its tags', { Service: { Tags: undefined } }, /tags are no list of texts/],
  ['a tag that is no text', { Service: { Tags: ['A', 3] } }, /tags are no list of texts/],
  ['Meta of the wrong type', { Service: { Meta: ['a'] } }, /Meta is no map of texts/],
  ['a value of Meta that is no text', { Service: { Meta: { a: 1 } } }, /Meta is no map of texts/],
  ['an address of the wrong type', { Service: { Address: 7 } }, /address is no text/],
  ['an address that is none', { Service: { Address: 'http://' } }, /not a valid URL/],
  ['a port of the wrong type', { Service: { Port: '80' } }, /port is no number/],
  ['a service name of the wrong type', { Service: { Service: 7 } }, /service name is no text/]
] as const) {
  test(`malformed: ${sentence}`, () => {
    const { Service, ...rest } = over as { Service?: object }
    assert.match(read({ ...healthEntry('x', Service === undefined ? {} : { service: Service }), ...rest }).malformed ?? 'whole', reason)
  })
}
test('what can be read of who a dropped entry is about is told', () => {
  assert.deepEqual(readEntry({ Node: { Node: 'vm', Datacenter: 'dc1' }, Service: { Service: 'api' } }, rules), { dropped: { reason: 'an entry has no ID', id: undefined, registeredAs: 'api', node: 'vm', datacenter: 'dc1' } })
  assert.deepEqual(readEntry({ Node: null, Service: { ID: 'a', Service: 'api' } }, rules), { dropped: { reason: 'an entry has no node', id: 'a', registeredAs: 'api', node: undefined, datacenter: undefined } })
})
for (const [sentence, over] of [['null for an empty list or map', { Tags: null, Meta: null }], ['a mesh proxy', { Kind: 'connect-proxy' }], ['without weights', { Weights: undefined }]] as const) {
  test(`whole: ${sentence}`, () => assert.equal(ofService(over).malformed, undefined))
}
test('whose tags cannot be read may be of any environment', () => {
  assert.match(ofService({ Tags: 7 }, { environmentTag: 'prod' }).refused ?? 'taken', /nobody knows its environment/)
})
test('another environment\'s registration is passed over, not dropped', () => {
  assert.deepEqual(readEntry(healthEntry('x'), { ...rules, environmentTag: 'prod' }), { elsewhere: true })
})
test('only what the watch says is our own node is, in its datacenter', () => {
  assert.equal(read(healthEntry('x')).ownNode, true)
  assert.equal(read(healthEntry('x', { node: { Node: 'other' } })).ownNode, false)
  assert.equal(read(healthEntry('x', { node: { Datacenter: 'dc2' } }), { isOurs: (node, datacenter) => node === 'vm' && datacenter === 'dc1' }).ownNode, false)
})
for (const [sentence, entry] of [
  ['null', null], ['a string', 'x'], ['an array', []], ['no Service', {}], ['Service of the wrong type', { Service: [] }], ['neither id nor name', { Service: {} }], ['no id', { Service: { ID: '', Service: 'orders' } }], ['no node', { Service: { ID: 'a', Service: 'orders' } }], ['a node without a name', { Node: { Address: '10.0.0.1' }, Service: { ID: 'a', Service: 'orders' } }], ['an id of the wrong type', { Service: { ID: 7, Service: 'orders' } }]
] as const) {
  test(`an entry that is broken beyond showing is dropped with a reason: ${sentence}`, () => {
    const result = readEntry(entry, rules)
    assert.ok('dropped' in result && result.dropped.reason.startsWith('an entry '))
  })
}

test('every entry of the recorded lifecycle is read as it was', () => {
  const lines = readFileSync(new URL('../fixtures/recordings/consul-lifecycle.jsonl', import.meta.url), 'utf8').trim().split('\n')
    .map((line) => JSON.parse(line) as { ms: number, event?: string, index?: number, body?: unknown[] })
  const seen: string[] = []
  for (const { index, body } of lines) {
    if (body === undefined) continue
    const states = body.map((entry) => {
      const found = read(entry)
      assert.equal(found.kind, 'plugin')
      assert.equal(found.refused, undefined)
      assert.equal(found.ownNode, true)
      assert.equal(found.datacenter, 'dc1')
      assert.ok(found.createIndex > 90)
      assert.deepEqual(found.names, found.service === 'Catalog'
        ? ['GetProduct', 'SearchProducts', 'GetPicture', 'SlowReport', 'ReindexProducts', 'team-catalog']
        : ['PlaceOrder', 'CancelOrder', 'OrderPlaced', 'CountSeen', 'UploadNote', 'team-orders'])
      return `${found.service}@${new URL(found.address!.origin).port} v${found.version} ${found.health}`
    })
    seen.push(`${index}: ${states.join(', ')}`)
  }
  assert.deepEqual(seen, [
    '94: ',
    '95: Catalog@9101 v1.0 unchecked',
    '96: Catalog@9101 v1.0 unchecked, Orders@9201 v1.0 unchecked',
    '97: Catalog@9101 v1.0 unchecked, Orders@9201 v1.0 unchecked',
    '99: Catalog@9101 v1.0 unchecked, Orders@9201 v1.0 unchecked',
    '100: Catalog@9101 v1.0 unchecked, Catalog@9102 v1.0 unchecked, Orders@9201 v1.0 unchecked',
    '101: Catalog@9101 v1.0 unchecked, Catalog@9102 v1.0 unchecked, Orders@9201 v1.0 unchecked',
    '102: Catalog@9101 v1.0 unchecked, Catalog@9102 v1.0 unchecked, Orders@9201 v1.0 unchecked',
    '103: Catalog@9101 v1.0 unchecked, Catalog@9102 v1.0 unchecked, Orders@9201 v1.0 unchecked',
    '104: Catalog@9101 v1.0 unchecked, Catalog@9102 v1.0 unchecked, Orders@9201 v1.0 unchecked',
    '105: Catalog@9101 v1.0 unchecked, Catalog@9102 v1.0 passing, Orders@9201 v1.0 unchecked',
    '106: Catalog@9101 v1.0 unchecked, Catalog@9102 v1.0 passing, Orders@9201 v1.0 passing',
    '107: Catalog@9101 v1.0 passing, Catalog@9102 v1.0 passing, Orders@9201 v1.0 passing',
    '111: Catalog@9101 v1.0 passing, Catalog@9102 v1.0 critical, Orders@9201 v1.0 passing',
    '112: Catalog@9102 v1.1 unchecked, Catalog@9101 v1.0 passing, Catalog@9102 v1.0 critical, Orders@9201 v1.0 passing',
    '113: Catalog@9102 v1.1 unchecked, Catalog@9101 v1.0 passing, Catalog@9102 v1.0 critical, Orders@9201 v1.0 passing',
    '114: Catalog@9102 v1.1 unchecked, Catalog@9101 v1.0 passing, Catalog@9102 v1.0 critical, Orders@9201 v1.0 passing',
    '115: Catalog@9102 v1.1 unchecked, Catalog@9101 v1.0 passing, Catalog@9102 v1.0 critical, Orders@9201 v1.0 passing',
    '116: Catalog@9102 v1.1 unchecked, Catalog@9101 v1.0 passing, Catalog@9102 v1.0 passing, Orders@9201 v1.0 passing',
    '118: Catalog@9102 v1.1 passing, Catalog@9101 v1.0 passing, Catalog@9102 v1.0 passing, Orders@9201 v1.0 passing',
    '122: Catalog@9102 v1.1 passing, Catalog@9101 v1.0 passing, Catalog@9102 v1.0 passing, Orders@9201 v1.0 critical'
  ])
})
