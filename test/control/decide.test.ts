import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeChanges } from '../../src/control/changes-log.ts'
import { countDecision } from '../../src/control/describe.ts'
import { explainEndpoint } from '../../src/control/explain-endpoint.ts'
import { explainName } from '../../src/control/explain-name.ts'
import { emptyMemory } from '../../src/control/plan.ts'
import { decideWorld, namesOf, operation, statesOf, tableOf, type RegistrationLike, type World } from './support.ts'

const had = { ...emptyMemory, served: new Set(['http://10.0.0.1:9101']) }
const get = { lists: ['GetProduct'] }

const rows: ReadonlyArray<readonly [sentence: string, world: World, table: string[], states?: Record<string, string>]> = [
  // ---- Health ----
  ['a passing endpoint that lists the message gets its calls', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', ...get } } }, ['GetProduct→Catalog 9101'], { a: 'routed' }],
  ['a passing endpoint gets traffic whether or not it answers us, once its list is known', { registrations: [{ id: 'a' }], before: { 9101: { id: 'a', ...get } }, says: { 9101: 'silent' } }, ['GetProduct→Catalog 9101'], { a: 'routed' }],
  ['an unchecked one gets none before it has answered', { registrations: [{ id: 'a', health: 'unchecked' }] }, ['GetProduct unread'], { a: 'waiting' }],
  ['an unchecked one gets none when it does not answer', { registrations: [{ id: 'a', health: 'unchecked' }], says: { 9101: 'silent' } }, ['GetProduct unread'], { a: 'waiting' }],
  ['an unchecked one gets traffic as soon as it has answered', { registrations: [{ id: 'a', health: 'unchecked' }], says: { 9101: { id: 'a', ...get } } }, ['GetProduct→Catalog 9101'], { a: 'routed' }],
  ['an unchecked one gets none while its heartbeat fails, although its list is read', { registrations: [{ id: 'a', health: 'unchecked' }], says: { 9101: { id: 'a', ...get, sick: 'its heartbeat answered 503' } } }, ['GetProduct→Catalog '], { a: 'waiting' }],
  ['nor does it keep what it had while another is well', { registrations: [{ id: 'a', health: 'unchecked' }, { id: 'b', port: 9102 }], before: { 9101: { id: 'a', ...get } }, says: { 9101: { id: 'a', ...get, sick: 'its health check answered 503' }, 9102: { id: 'b', ...get } }, memory: had }, ['GetProduct→Catalog 9102'], { a: 'waiting', b: 'routed' }],
  ['one that was well and is the last keeps it by the panic rule', { registrations: [{ id: 'a', health: 'unchecked' }], before: { 9101: { id: 'a', ...get } }, says: { 9101: { id: 'a', ...get, sick: 'its health check answered 503' } }, memory: had }, ['GetProduct→Catalog 9101'], { a: 'routed' }],
  ['and loses it where there is no panic rule', { registrations: [{ id: 'a', health: 'unchecked' }], before: { 9101: { id: 'a', ...get } }, says: { 9101: { id: 'a', ...get, sick: 'its health check answered 503' } }, memory: had, config: { registry: { panic: false } } }, ['GetProduct→Catalog '], { a: 'waiting' }],
  ['another process at the address was never well, whoever was there before', { registrations: [{ id: 'b', health: 'unchecked' }], before: { 9101: { id: 'a', ...get } }, says: { 9101: { id: 'b', ...get, sick: 'its heartbeat answered 503' } }, memory: had }, ['GetProduct→Catalog '], { b: 'waiting' }],
  ['an unchecked one whose health check warns stands by while another is well', { registrations: [{ id: 'a', health: 'unchecked' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get, warns: 'its health check answered 429' }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'standby', b: 'routed' }],
  ['and is served when no other is left', { registrations: [{ id: 'a', health: 'unchecked' }], says: { 9101: { id: 'a', ...get, warns: 'its health check answered 429' } } }, ['GetProduct→Catalog 9101'], { a: 'routed' }],
  ['what its registry calls passing is believed over our own look at its heartbeat', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', ...get, sick: 'its heartbeat answered 503' } } }, ['GetProduct→Catalog 9101'], { a: 'routed' }],
  ['who a sick process is tells its ghosts all the same', { registrations: [{ id: 'old' }, { id: 'new', health: 'unchecked' }], says: { 9101: { id: 'new', ...get, sick: 'its heartbeat answered 503' } } }, ['GetProduct→Catalog '], { old: 'ghost', new: 'waiting' }],
  ['one that had traffic keeps it while it is being asked', { registrations: [{ id: 'a', health: 'unchecked' }], before: { 9101: { id: 'a', ...get } }, memory: had }, ['GetProduct→Catalog 9101'], { a: 'routed' }],
  ['one that had traffic loses it when it did not answer', { registrations: [{ id: 'a', health: 'unchecked' }, { id: 'b', port: 9102 }], before: { 9101: { id: 'a', ...get } }, says: { 9101: 'silent', 9102: { id: 'b', ...get } }, memory: had }, ['GetProduct→Catalog 9102'], { a: 'waiting', b: 'routed' }],
  ['a warning one stands by while another passes', { registrations: [{ id: 'a', health: 'warning' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'standby', b: 'routed' }],
  ['a warning one gets traffic when no passing one is left', { registrations: [{ id: 'a', health: 'warning' }, { id: 'b', port: 9102, health: 'critical' }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9101'], { a: 'routed', b: 'critical' }],
  ['a warning one alone has a message that the passing one lacks', { registrations: [{ id: 'a', health: 'warning' }, { id: 'b', port: 9102, names: ['Other'] }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', lists: ['Other'] } } }, ['GetProduct→Catalog 9101', 'Other→Catalog 9102']],
  ['a critical one gets none while another passes', { registrations: [{ id: 'a', health: 'critical' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'critical', b: 'routed' }],
  ['when all are critical they are served anyway', { registrations: [{ id: 'a', health: 'critical' }, { id: 'b', port: 9102, health: 'critical' }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9101,9102'], { a: 'routed', b: 'routed' }],
  ['panic prefers those that answer us', { registrations: [{ id: 'a', health: 'critical' }, { id: 'b', port: 9102, health: 'critical' }], before: { 9102: { id: 'b', ...get } }, says: { 9101: { id: 'a', ...get }, 9102: 'silent' } }, ['GetProduct→Catalog 9101'], { a: 'routed', b: 'critical' }],
  ['panic: false serves none of them', { registrations: [{ id: 'a', health: 'critical' }], says: { 9101: { id: 'a', ...get } }, config: { registry: { panic: false } } }, ['GetProduct→Catalog '], { a: 'critical' }],
  ['maintenance is drained, panic or not', { registrations: [{ id: 'a', health: 'maintenance' }, { id: 'b', port: 9102, health: 'critical' }], says: { 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'draining', b: 'routed' }],
  ['maintenance alone gets nothing', { registrations: [{ id: 'a', health: 'maintenance' }], before: { 9101: { id: 'a', ...get } }, memory: had }, ['GetProduct→Catalog '], { a: 'draining' }],

  ['maintenance in Consul is an order to what a file names at the address too, where the process does not say who it is', { registrations: [{ id: 'f', registry: 'file', kind: 'plain', health: 'unchecked' }, { id: 'c', kind: 'plain', health: 'maintenance' }], says: { 9101: get } }, ['GetProduct→Catalog '], { f: 'draining', c: 'draining' }],
  ['so it is to a fixed endpoint of postern.yaml, and where the process says that it is the one', { registrations: [{ id: 'c', health: 'maintenance' }], says: { 9101: { id: 'c', ...get } }, config: { upstreams: { Fixed: { endpoints: ['http://10.0.0.1:9101'] } } } }, ['GetProduct→Catalog '], { 'config:Fixed:http://10.0.0.1:9101': 'draining', c: 'draining' }],
  ['it is none of a registration that the process says it is not', { registrations: [{ id: 'f', registry: 'file' }, { id: 'c', health: 'maintenance' }], says: { 9101: { id: 'other', ...get } } }, ['GetProduct→Catalog 9101'], { f: 'routed', c: 'ghost' }],
  ['nor of an older registration in the same registry', { registrations: [{ id: 'old', createIndex: 5, health: 'maintenance' }, { id: 'new', createIndex: 9 }], says: { 9101: get } }, ['GetProduct→Catalog 9101'], { old: 'ghost', new: 'routed' }],

  // ---- Who is at the address ----
  ['of two registrations the one the endpoint names is true, although older', { registrations: [{ id: 'old', createIndex: 99, names: ['Gone'] }, { id: 'new', createIndex: 5 }], says: { 9101: { id: 'new', ...get } } }, ['GetProduct→Catalog 9101'], { old: 'ghost', new: 'routed' }],
  ['a ghost is one although it passes and its true sibling is critical', { registrations: [{ id: 'old', names: ['Gone'] }, { id: 'new', health: 'critical' }], says: { 9101: { id: 'new', ...get } } }, ['GetProduct→Catalog 9101'], { old: 'ghost', new: 'routed' }],
  ['where the endpoint reports no id the highest CreateIndex decides', { registrations: [{ id: 'z', createIndex: 5 }, { id: 'a', createIndex: 99 }], says: { 9101: get } }, ['GetProduct→Catalog 9101'], { z: 'ghost', a: 'routed' }],
  ['an id that nobody registered makes all registrations there ghosts', { registrations: [{ id: 'a' }], says: { 9101: { id: 'somebody', ...get } } }, [], { a: 'ghost' }],
  ['an entry of a file holds at its address, whatever id the process there runs under', { registrations: [{ id: 'file-1', registry: 'file' }], says: { 9101: { id: 'ss-Catalog-77', ...get } } }, ['GetProduct→Catalog 9101'], { 'file-1': 'routed' }],
  ['the new id of a restart waits while the old answer stands, and the old one keeps its traffic', { registrations: [{ id: 'old' }, { id: 'new', health: 'unchecked', createIndex: 20 }], before: { 9101: { id: 'old', ...get } }, memory: had }, ['GetProduct→Catalog 9101'], { old: 'routed', new: 'waiting' }],
  ['somebody else answers there: a list without any of its names makes a stranger', { registrations: [{ id: 'a' }], says: { 9101: { lists: ['Invoice'] } } }, [], { a: 'stranger' }],
  ['what is refused is never used', { registrations: [{ id: 'a', refused: '169.254.169.254 is link-local' }] }, [], { a: 'refused' }],

  ['what stands at a host name that leads nowhere yet waits, and its names are not read', { registrations: [{ id: 'a', unresolved: { reason: 'vm is being resolved', failedSince: undefined } }] }, ['GetProduct unread'], { a: 'waiting' }],
  ['it keeps the name from a newer service for as long as nobody has said that it leads nowhere', { registrations: [{ id: 'a', service: 'Old', createIndex: 1, unresolved: { reason: 'vm is being resolved', failedSince: undefined } }, { id: 'b', port: 9102 }], says: { 9102: { id: 'b', ...get } } }, ['GetProduct unread'], { a: 'waiting', b: 'routed' }],
  ['and no longer: nobody answers there', { registrations: [{ id: 'a', service: 'Old', createIndex: 1, unresolved: { reason: 'vm cannot be resolved: ESERVFAIL', failedSince: 999_000 } }, { id: 'b', port: 9102 }], says: { 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'waiting', b: 'routed' }],
  ['a sibling at an address serves', { registrations: [{ id: 'a', unresolved: { reason: 'vm cannot be resolved: ESERVFAIL', failedSince: 999_000 } }, { id: 'b', port: 9102 }], says: { 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'waiting', b: 'routed' }],
  ['maintenance holds there too', { registrations: [{ id: 'a', health: 'maintenance', unresolved: { reason: 'vm is being resolved', failedSince: undefined } }] }, ['GetProduct unread'], { a: 'draining' }],

  // ---- Tags and lists ----
  ['a custom tag is no message', { registrations: [{ id: 'a', names: ['GetProduct', 'team-catalog'] }], says: { 9101: { id: 'a', ...get } } }, ['GetProduct→Catalog 9101']],
  ['what is listed and not tagged is no message', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', lists: ['GetProduct', 'AdminDashboard', 'Untagged'] } } }, ['GetProduct→Catalog 9101']],
  ['letter case makes no difference, and the name is as listed', { registrations: [{ id: 'a', names: ['getPRODUCT'] }], says: { 9101: { id: 'a', ...get } } }, ['GetProduct→Catalog 9101']],
  ['a tag matches the last dotted part of a nested type', { registrations: [{ id: 'a', names: ['Inner'] }], says: { 9101: { id: 'a', lists: ['Outer.Inner'] } } }, ['Outer.Inner→Catalog 9101']],
  ['endpoints that lack a message do not get it', { registrations: [{ id: 'a', names: ['GetProduct', 'New'] }, { id: 'b', port: 9102, names: ['GetProduct', 'New'] }], says: { 9101: { id: 'a', lists: ['GetProduct', 'New'] }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9101,9102', 'New→Catalog 9101']],
  ['a restricted message is hidden', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', lists: [operation('GetProduct', { restricted: true })] } } }, ['GetProduct hidden']],
  ['one restricting endpoint hides it for all', { registrations: [{ id: 'a' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', lists: [operation('GetProduct', { restricted: true })] } } }, ['GetProduct hidden']],
  ['never-routed names stay hidden, whatever YAML says', { registrations: [{ id: 'a', names: ['Heartbeat', 'GetServices'] }], says: { 9101: { id: 'a', lists: ['Heartbeat', 'GetServices'] } }, config: { messages: { heartbeat: { expose: true, upstream: 'Catalog' } } } }, ['GetServices hidden', 'Heartbeat hidden']],
  ['a plugin registration that publishes no list stays hidden', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', none: true } } }, ['GetProduct hidden'], { a: 'routed' }],
  ['so does one that has neither a list nor a heartbeat', { registrations: [{ id: 'a' }], says: { 9101: 'has nothing' } }, ['GetProduct hidden'], { a: 'routed' }],
  ['and trustTags routes it where its checks pass', { registrations: [{ id: 'a' }], says: { 9101: 'has nothing' }, config: { upstreams: { Catalog: { trustTags: true } } } }, ['GetProduct→Catalog 9101']],
  ['whoever denies all that was said there before is somebody else', { registrations: [{ id: 'a' }, { id: 'b', port: 9102 }], before: { 9101: { id: 'a', ...get } }, says: { 9101: 'has nothing', 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'stranger', b: 'routed' }],
  ['of one that never said who it is, a list that was read is not lost by that', { registrations: [{ id: 'a' }], before: { 9101: get }, says: { 9101: 'has nothing' } }, ['GetProduct→Catalog 9101']],
  ['messages.X.expose: true says so for one message', { registrations: [{ id: 'a', names: ['GetProduct', 'Search'] }], says: { 9101: { id: 'a', none: true } }, config: { messages: { getproduct: { expose: true } } } }, ['GetProduct→Catalog 9101', 'Search hidden']],
  ['messages.X.upstream settles who answers, not who may call', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', none: true } }, config: { messages: { getproduct: { upstream: 'Catalog' } } } }, ['getproduct hidden']],
  ['trustTags routes it', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', none: true } }, config: { upstreams: { Catalog: { trustTags: true } } } }, ['GetProduct→Catalog 9101']],
  ['a plain service that fails when it is asked for one is routed', { registrations: [{ id: 'a', kind: 'plain' }], says: { 9101: { unread: true, version: '' } } }, ['GetProduct→Catalog 9101']],
  ['a plain service that names its messages is routed without a list', { registrations: [{ id: 'a', kind: 'plain' }], says: { 9101: { none: true } } }, ['GetProduct→Catalog 9101']],
  ['a passing plain service is routed although it does not answer us', { registrations: [{ id: 'a', kind: 'plain' }], says: { 9101: 'silent' } }, ['GetProduct→Catalog 9101']],
  ['a list not read yet is answered so, and the endpoint gets no call', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', unread: true } } }, ['GetProduct unread'], { a: 'waiting' }],
  ['a list that could not be read again is kept', { registrations: [{ id: 'a' }], before: { 9101: { id: 'a', ...get } }, says: { 9101: { id: 'a', unread: true } } }, ['GetProduct→Catalog 9101']],
  ['the list of another process is not kept', { registrations: [{ id: 'b' }], before: { 9101: { id: 'a', ...get } }, says: { 9101: { id: 'b', unread: true } } }, ['GetProduct unread']],
  ['one endpoint that is read is enough', { registrations: [{ id: 'a' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', unread: true } } }, ['GetProduct→Catalog 9101'], { a: 'routed', b: 'waiting' }],
  ['nor does one get calls by the panic rule whose list is not read', { registrations: [{ id: 'a', health: 'critical' }], says: { 9101: { id: 'a', unread: true } } }, ['GetProduct unread'], { a: 'critical' }],
  ['where its tags are believed it gets what has no endpoints of its own, beside one that has told its list', { registrations: [{ id: 'a' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', unread: true } }, config: { upstreams: { Catalog: { trustTags: true } } } }, ['GetProduct→Catalog 9101'], { a: 'routed', b: 'routed' }],

  ['a program that says yes to everything and nothing of itself is a stranger', { registrations: [{ id: 'a' }], says: { 9101: { none: true, strange: true } } }, ['GetProduct hidden'], { a: 'stranger' }],
  ['nobody believes its tags, whatever is said of the service', { registrations: [{ id: 'a' }, { id: 'b', port: 9102 }], says: { 9101: { none: true, strange: true }, 9102: { id: 'b', none: true } }, config: { upstreams: { Catalog: { trustTags: true } } } }, ['GetProduct→Catalog 9102'], { a: 'stranger', b: 'routed' }],
  ['nor those of a message that is exposed by name', { registrations: [{ id: 'a' }], says: { 9101: { none: true, strange: true } }, config: { messages: { GetProduct: { expose: true } } } }, ['GetProduct hidden'], { a: 'stranger' }],
  ['what the process there listed before it tells its names still: they have nobody, and are no secret', { registrations: [{ id: 'a', names: ['GetProduct', 'Secret'] }], before: { 9101: { id: 'a', lists: ['GetProduct', operation('Secret', { restricted: true })] } }, says: { 9101: { none: true, strange: true } } }, ['GetProduct→Catalog ', 'Secret hidden'], { a: 'stranger' }],
  ['nor is a list of it waited for, where it says yes in JSON', { registrations: [{ id: 'a' }], says: { 9101: { unread: true, strange: true } } }, ['GetProduct hidden'], { a: 'stranger' }],
  ['so that its names are at once for whoever has them', { registrations: [{ id: 'a', service: 'Old', createIndex: 1 }, { id: 'b', port: 9102 }], says: { 9101: { unread: true, strange: true }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'stranger', b: 'routed' }],
  ['an ordinary service may answer 200 to everything', { registrations: [{ id: 'a', kind: 'plain' }], says: { 9101: { none: true, strange: true } } }, ['GetProduct→Catalog 9101'], { a: 'routed' }],

  // ---- Exposure ----
  ['a pattern of hide hides', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', ...get } }, config: { exposure: { hide: ['get*'] } } }, ['GetProduct hidden']],
  ['hidden by pattern is hidden before its list is read', { registrations: [{ id: 'a' }], config: { exposure: { hide: ['get*'] } } }, ['GetProduct hidden']],
  ['an upstream\'s own patterns stand in place of the general ones', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', ...get } }, config: { exposure: { hide: ['*'] }, upstreams: { Catalog: { hide: [] } } } }, ['GetProduct→Catalog 9101']],
  ['what no pattern exposes is hidden', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', ...get } }, config: { exposure: { expose: ['Place*'] } } }, ['GetProduct hidden']],
  ['exposeRestricted lets a restricted one out', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', lists: [operation('GetProduct', { restricted: true })] } }, config: { exposure: { exposeRestricted: ['*Product'] } } }, ['GetProduct→Catalog 9101']],
  ['messages.X.expose decides over everything', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', ...get } }, config: { messages: { GETPRODUCT: { expose: false } } } }, ['GetProduct hidden']],

  // ---- YAML: fixed upstreams and built-in messages ----
  ['a fixed upstream gets what is settled when it has said what it is', { says: { 7000: { none: true, version: '' } }, config: { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:7000/'] } }, messages: { Authenticate: { upstream: 'Legacy' } } } }, ['Authenticate→Legacy 7000']],
  ['until then nobody knows whether it restricts it', { config: { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:7000/'] } }, messages: { Authenticate: { upstream: 'Legacy' } } } }, ['Authenticate unread']],
  ['a failure in place of a list says nothing', { says: { 7000: { unread: true, version: '' } }, config: { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:7000/'] } }, messages: { Authenticate: { upstream: 'Legacy' } } } }, ['Authenticate unread']],
  ['which is no matter of what may be called in any case', { config: { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:7000/'] } }, messages: { Authenticate: { upstream: 'Legacy', expose: true } } } }, ['Authenticate→Legacy 7000']],
  ['nor where postern.yaml says what it is', { says: { 7000: { unread: true, version: '' } }, config: { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:7000/'], servicestack: false } }, messages: { Authenticate: { upstream: 'Legacy' } } } }, ['Authenticate→Legacy 7000']],
  ['a fixed host that restricts it keeps it', { says: { 7000: { lists: [operation('Authenticate', { restricted: true })] } }, config: { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:7000/'] } }, messages: { Authenticate: { upstream: 'Legacy' } } } }, ['Authenticate hidden']],
  ['a built-in message goes to the endpoints whose list has it', { registrations: [{ id: 'a' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', lists: ['GetProduct', 'Authenticate'] }, 9102: { id: 'b', ...get } }, config: { messages: { authenticate: { upstream: 'Catalog' } } } }, ['Authenticate→Catalog 9101', 'GetProduct→Catalog 9101,9102']],
  ['a built-in message waits for the list that may restrict it', { registrations: [{ id: 'a' }], says: { 9101: { id: 'a', unread: true } }, config: { messages: { Authenticate: { upstream: 'Catalog' } } } }, ['Authenticate unread', 'GetProduct unread']],
  ['an upstream that nobody has registered has no endpoints', { config: { messages: { Authenticate: { upstream: 'Nobody' } } } }, ['Authenticate→Nobody ']],

  // ---- Amnesia ----
  ['an unconfirmed endpoint is served while it answers', { registrations: [{ id: 'a', unconfirmedSince: 999_000 }], says: { 9101: { id: 'a', ...get } } }, ['GetProduct→Catalog 9101'], { a: 'unconfirmed' }],
  ['an unconfirmed endpoint that had traffic keeps it while it is being asked', { registrations: [{ id: 'a', unconfirmedSince: 999_000 }], before: { 9101: { id: 'a', ...get } }, memory: had }, ['GetProduct→Catalog 9101'], { a: 'unconfirmed' }],
  ['an unconfirmed endpoint that does not answer is not served', { registrations: [{ id: 'a', unconfirmedSince: 999_000 }], before: { 9101: { id: 'a', ...get } }, says: { 9101: 'silent' }, memory: had }, ['GetProduct→Catalog '], { a: 'unconfirmed' }],
  ['an unconfirmed endpoint whose checks failed is served when no other is well', { registrations: [{ id: 'a', unconfirmedSince: 999_000, health: 'critical' }], says: { 9101: { id: 'a', ...get } } }, ['GetProduct→Catalog 9101'], { a: 'unconfirmed' }],
  ['an unconfirmed endpoint whose checks failed stands behind one that is well', { registrations: [{ id: 'a', unconfirmedSince: 999_000, health: 'critical' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'unconfirmed', b: 'routed' }],
  ['an unconfirmed endpoint whose checks failed is not served where failing ones are not', { registrations: [{ id: 'a', unconfirmedSince: 999_000, health: 'critical' }], says: { 9101: { id: 'a', ...get } }, config: { registry: { panic: false } } }, ['GetProduct→Catalog '], { a: 'unconfirmed' }],
  ['an unconfirmed endpoint that says it is not well stands behind one that is', { registrations: [{ id: 'a', unconfirmedSince: 999_000 }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get, sick: 'its heartbeat answered 503' }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'unconfirmed', b: 'routed' }],
  ['an unconfirmed endpoint whose checks warned stands behind passing ones', { registrations: [{ id: 'a', unconfirmedSince: 999_000, health: 'warning' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', ...get } } }, ['GetProduct→Catalog 9102'], { a: 'unconfirmed', b: 'routed' }],
  ['who registered anew at the address of an unconfirmed one holds it', { registrations: [{ id: 'a', unconfirmedSince: 999_000, createIndex: 99 }, { id: 'b', createIndex: 3 }], says: { 9101: get } }, ['GetProduct→Catalog 9101'], { a: 'ghost', b: 'routed' }]
]

for (const [sentence, world, table, states] of rows) {
  test(sentence, () => {
    const decision = decideWorld(world)
    assert.deepEqual(tableOf(decision), table)
    if (states !== undefined) assert.deepEqual(statesOf(decision), states)
    // Every name and every registration has its sentence, which begins with its state, and is told what would change it.
    for (const [state, { why, hint }] of [...decision.names.map(name => [name.state, explainName(name)] as const), ...decision.endpoints.map(endpoint => [endpoint.state, explainEndpoint(endpoint)] as const)]) {
      assert.match(why, /^[A-Z].*\.$/)
      assert.ok(why.toLowerCase().startsWith(state), `${state}: ${why}`)
      assert.match(hint, /^[A-Z/].{15}/)
    }
    // The message's endpoints are always among those of its upstream.
    for (const { upstream, endpoints } of decision.plan.messages.values()) {
      for (const url of endpoints ?? []) assert.ok(decision.plan.upstreams.get(upstream)?.endpoints.some(endpoint => endpoint.url === url))
    }
  })
}

test('an unconfirmed endpoint whose checks failed is not said to be silent', () => {
  const decision = decideWorld({ registrations: [{ id: 'a', unconfirmedSince: 999_000, health: 'critical' }], says: { 9101: { id: 'a', ...get } } })
  assert.match(explainEndpoint(decision.endpoints[0]!).why, /its checks failed before that, although it answers us; served because no endpoint of its upstream is well\.$/)
})

test('an endpoint that only its own messages need is said to be the last for them, and gets nothing else', () => {
  const why = (like: Partial<RegistrationLike>, said: object = {}) => {
    const decision = decideWorld({ registrations: [{ id: 'a', ...like }, { id: 'b', port: 9102, names: ['Other'] }], says: { 9101: { id: 'a', ...get, ...said }, 9102: { id: 'b', lists: ['Other'] } } })
    assert.deepEqual([tableOf(decision), decision.plan.upstreams.get('Catalog')?.base], [['GetProduct→Catalog 9101', 'Other→Catalog 9102'], ['http://10.0.0.1:9102']])
    return explainEndpoint(decision.endpoints.find(({ verdict }) => verdict.registration.id === 'a')!).why
  }
  assert.equal(why({ health: 'critical' }), 'Routed although its checks fail: no passing endpoint has its messages.')
  assert.equal(why({ health: 'warning' }), 'Routed although its checks warn: no passing endpoint has its messages.')
  assert.equal(why({ health: 'unchecked' }, { warns: 'its health check answered 429' }), 'Routed although it warns (its health check answered 429): no passing endpoint has its messages.')
  const all = decideWorld({ registrations: [{ id: 'a', health: 'critical' }], says: { 9101: { id: 'a', ...get } } })
  assert.equal(explainEndpoint(all.endpoints[0]!).why, 'Routed although its checks fail: no endpoint of its upstream is well.')
  assert.equal(all.plan.upstreams.get('Catalog')?.base, undefined)
})

test('the sentence of what is hidden for want of a list names the very line that shows it', () => {
  const decision = decideWorld({ registrations: [{ id: 'a' }], says: { 9101: { id: 'a', none: true } } })
  assert.match(explainName(decision.names[0]!).hint, /write upstreams\.Catalog\.trustTags: true$/)
})

test('what the data plane leaves out is out, whatever its registry says, and its names are routed to those left', () => {
  const two = { registrations: [{ id: 'a' }, { id: 'b', port: 9102, names: ['GetProduct', 'Only'] }], says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', lists: ['GetProduct', 'Only'] } } } as const
  const out = { upstream: 'Catalog', url: 'http://10.0.0.1:9102', cause: 'unreachable', reason: 'ECONNREFUSED' } as const
  const before = decideWorld({ ...two, now: 1_000 })
  const after = decideWorld({ ...two, leftOut: [out], memory: before.memory, now: 2_000 })
  assert.deepEqual(after.plan.messages, before.plan.messages, 'told, and not decided by')
  assert.deepEqual(after.plan.upstreams, before.plan.upstreams)
  assert.deepEqual(statesOf(after), { a: 'routed', b: 'out' })
  const endpoint = after.endpoints.find(({ state }) => state === 'out')!
  assert.deepEqual(explainEndpoint(endpoint), { why: 'Out: a connection to it failed (ECONNREFUSED), although its checks pass.', hint: 'It comes back as soon as Postern can connect and it has said who it is.' })
  assert.equal(endpoint.since, 2_000)
  assert.deepEqual(after.names.map(({ name, endpoints }) => [name, endpoints]), [['GetProduct', 1], ['Only', 0]])
  assert.match(explainName(after.names[1]!).why, /^Routed to Catalog, but none of its endpoints can take calls: they are answered 503\.$/)
  for (const cause of ['breaker', 'held', 'ejected', 'paused'] as const) {
    const [, other] = decideWorld({ ...two, leftOut: [{ ...out, cause, reason: undefined }] }).endpoints
    assert.match(explainEndpoint(other!).why, /^Out: .*, although its checks pass\.$/)
  }
  assert.equal(decideWorld({ ...two, leftOut: [{ ...out, upstream: 'Other' }] }).endpoints[1]?.state, 'routed')
})

test('what is not in the table is as it was: a ghost at an address that is left out, a draining one', () => {
  const out = { upstream: 'Catalog', url: 'http://10.0.0.1:9101', cause: 'unreachable', reason: 'ECONNREFUSED' } as const
  const decision = decideWorld({ registrations: [{ id: 'old' }, { id: 'new', health: 'maintenance' }], says: { 9101: { id: 'new', ...get } }, leftOut: [out] })
  assert.deepEqual(statesOf(decision), { old: 'ghost', new: 'draining' })
})

test('the reason of maintenance is shown', () => {
  const decision = decideWorld({ registrations: [{ id: 'a', health: 'maintenance', notes: 'disk change by Ann' }] })
  assert.match(explainEndpoint(decision.endpoints[0]!).why, /disk change by Ann/)
  const beside = decideWorld({ registrations: [{ id: 'f', registry: 'file' }, { id: 'c', health: 'maintenance', notes: 'disk change by Ann' }] })
  assert.equal(explainEndpoint(beside.endpoints[0]!).why, 'Draining: an operator set c, at the same address, to maintenance: disk change by Ann.')
})

test('the version and weight in the table come from the true registration', () => {
  const decision = decideWorld({ registrations: [{ id: 'old', version: '1.0', createIndex: 99 }, { id: 'new', version: '1.1', weights: { passing: 7, warning: 1 } }], says: { 9101: { id: 'new', ...get } } })
  assert.deepEqual(decision.plan.upstreams.get('Catalog')?.endpoints.map(({ version, weight }) => [version, weight]), [['1.1', 7]])
})

test('the api form is used only where every endpoint has it; other servers get the path as it came', () => {
  const form = (world: World, name = 'Catalog') => decideWorld(world).plan.upstreams.get(name)?.apiForm
  const two = [{ id: 'a' }, { id: 'b', port: 9102 }]
  assert.equal(form({ registrations: two, says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', ...get } } }), true)
  assert.equal(form({ registrations: two, says: { 9101: { id: 'a', ...get }, 9102: { id: 'b', ...get, version: '5.00' } } }), false)
  assert.equal(form({ registrations: two }), false)
  assert.equal(form({ registrations: two, says: { 9101: { id: 'a', ...get } } }), true, 'which is who gets calls')
  assert.equal(form({ config: { upstreams: { Legacy: { endpoints: ['http://10.0.0.1:7000'] } } } }, 'Legacy'), true)
})

test('what an upstream is, one of its endpoints has to say; until then nobody knows', () => {
  const config = { upstreams: { Fixed: { endpoints: ['http://10.0.0.1:7000', 'http://10.0.0.1:7001'] } } }
  const servicestack = (says: World['says'] = {}) => decideWorld({ config, says }).plan.upstreams.get('Fixed')?.servicestack
  assert.equal(servicestack(), undefined)
  assert.equal(servicestack({ 7000: 'silent', 7001: 'sick' }), undefined, 'a failure says nothing')
  assert.equal(servicestack({ 7000: { unread: true, version: '' } }), undefined, 'nor does one in place of a list')
  assert.equal(servicestack({ 7000: { none: true, version: '' } }), false)
  assert.equal(servicestack({ 7000: { none: true, version: '' }, 7001: { none: true } }), true)
  assert.equal(servicestack({ 7000: { lists: ['GetProduct'], version: '' } }), true, 'nobody else publishes such a list')
  const told = (says: boolean, answers: World['says'] = {}) => decideWorld({ config: { upstreams: { Fixed: { ...config.upstreams.Fixed, servicestack: says } } }, says: answers }).plan.upstreams.get('Fixed')?.servicestack
  assert.deepEqual([told(true), told(false)], [true, false], 'unless postern.yaml says it')
  assert.equal(told(false, { 7000: { none: true } }), true, 'which a host can disprove')
  assert.equal(decideWorld({ config: { prefixes: { '/x/*': { upstream: 'Nobody' } } } }).plan.upstreams.get('Nobody')?.servicestack, false, 'of nobody nothing need be known')
})

test('what has no endpoints of its own goes to those that have told their whole list', () => {
  const basesOf = (b: NonNullable<World['says']>[number] | undefined, trustTags = false) => {
    const plan = decideWorld({ registrations: [{ id: 'a' }, { id: 'b', port: 9102 }], says: { 9101: { id: 'a', ...get }, ...(b === undefined ? {} : { 9102: b }) }, config: { upstreams: { Catalog: { trustTags } } } }).plan.upstreams.get('Catalog')!
    const base = plan.base ?? plan.endpoints.map(({ url }) => url)
    return `${base.map(url => url.slice(-4)).join()} ${plan.lists}`
  }
  assert.deepEqual([undefined, { id: 'b', unread: true }, { id: 'b', none: true }, { id: 'b', lists: ['GetProduct', 'Other'] }, { id: 'b', cut: true, ...get }].map(b => basesOf(b as never)), ['9101 read', '9101 read', '9101 read', '9101,9102 read', '9101 read'])
  assert.equal(basesOf({ id: 'b', none: true }, true), '9101,9102 read')
  const alone = (trustTags: boolean) => decideWorld({ registrations: [{ id: 'a' }], says: { 9101: { id: 'a', cut: true, ...get } }, config: { upstreams: { Catalog: { trustTags } } } })
  assert.deepEqual([alone(false), alone(true)].map(({ plan }) => [plan.upstreams.get('Catalog')?.lists, plan.messages.get('getproduct')?.state]), [['none', 'routed'], ['read', 'routed']])
})

for (const [sentence, says, reason] of [
  ['has not been asked', undefined, undefined],
  ['fails', { id: 'a', unread: true }, 'its list answered 503'],
  ['cannot be had', 'silent', 'ECONNREFUSED']
] as const) {
  test(`of a passing endpoint whose list ${sentence} it is told, and of its names and in the log, that this is why it gets no call`, () => {
    const world = (more: object) => decideWorld({ registrations: [{ id: 'a' }, { id: 'b', port: 9102, names: ['Other'] }], says: { 9102: { id: 'b', lists: ['Other'] }, ...more } })
    const decision = world(says === undefined ? {} : { 9101: says })
    const because = reason === undefined ? '' : ` (${reason})`
    const { why } = explainEndpoint(decision.endpoints[0]!)
    assert.equal(why, `Waiting: its checks pass, but its list of operations is not read yet${because}: it gets no call before that.`)
    assert.ok(explainName(decision.names.find(({ name }) => name === 'GetProduct')!).why.startsWith(`Unread: the list of operations of Catalog is not read yet${because};`))
    assert.deepEqual(describeChanges(undefined, decision).filter(({ message }) => message === 'endpoint waiting').map(({ level, fields }) => [level, fields['why']]), reason === undefined ? [] : [['warn', why]])
    assert.equal(describeChanges(world({}), decision).filter(({ message }) => message === 'endpoint waiting').length, reason === undefined ? 0 : 1)
  })
}

for (const [standing, said, count] of [
  ['lists it', { id: 'b', ...get }, 1],
  ['has not told its list', { id: 'b', unread: true }, 0],
  ['publishes none and is not believed', { id: 'b', none: true }, 0],
  ['is a stranger', { none: true, strange: true }, 0]
] as const) {
  test(`a name that one service has and another claims, which ${standing}, is ${count === 1 ? 'a' : 'no'} conflict, for whoever looks at either and for whoever counts`, () => {
    const decision = decideWorld({ registrations: [{ id: 'a' }, { id: 'b', service: 'Other', port: 9102, createIndex: 20 }], says: { 9101: { id: 'a', ...get }, 9102: said } })
    assert.deepEqual(namesOf(decision, 'GetProduct'), { Catalog: 'routed', Other: 'quarantined' })
    assert.equal(decision.names.find(({ upstream }) => upstream === 'Catalog')!.conflictWith.length, count)
    assert.equal(countDecision(decision).conflicts, count)
    assert.equal(describeChanges(undefined, decision).filter(({ message }) => message === 'message quarantined').length, count)
  })
}

test('of a process that is registered at another spelling of its address it is told where', () => {
  const registrations = [{ id: 'a' }, { id: 'b', port: 9102 }]
  const says = { 9101: { id: 'b', ...get }, 9102: { id: 'b', ...get } }
  const ghost = explainEndpoint(decideWorld({ registrations, says }).endpoints[0]!)
  assert.equal(ghost.why, 'Ghost: the process at this address says that it runs as b, which is registered at http://10.0.0.1:9102.')
  assert.match(ghost.hint, /^It goes when its registry removes it/)
  assert.match(explainEndpoint(decideWorld({ registrations: [{ id: 'a' }], says }).endpoints[0]!).why, /runs as b, which no registry lists there\.$/)
})

test('a state keeps its time until it changes', () => {
  const first = decideWorld({ registrations: [{ id: 'a' }], says: { 9101: { id: 'a', ...get } }, now: 1_000 })
  const second = decideWorld({ registrations: [{ id: 'a' }], says: { 9101: { id: 'a', ...get } }, now: 2_000, memory: first.memory })
  const third = decideWorld({ registrations: [{ id: 'a', health: 'maintenance' }], before: { 9101: { id: 'a', ...get } }, now: 3_000, memory: second.memory })
  assert.deepEqual([second, third].map(decision => decision.endpoints[0]?.since), [1_000, 3_000])
  // Routed to nobody from then on.
  assert.deepEqual([second, third].map(decision => decision.names[0]?.since), [1_000, 3_000])
})

test('names of Object.prototype are services and messages like others', () => {
  const decision = decideWorld({ registrations: [{ id: 'a', service: 'constructor', names: ['__proto__', 'toString'] }], says: { 9101: { id: 'a', lists: ['__proto__', 'toString'] } } })
  assert.deepEqual(tableOf(decision), ['__proto__→constructor 9101', 'toString→constructor 9101'])
  assert.deepEqual(namesOf(decision, 'toString'), { constructor: 'routed' })
})

for (const said of [{ none: true, strange: true }, { lists: ['Invoice'] }] as const) {
  test(`of a stranger that has gone too it is told that nobody answers: ${JSON.stringify(said)}`, () => {
    const { endpoints: [endpoint] } = decideWorld({ registrations: [{ id: 'a', health: 'critical' }], before: { 9101: said }, says: { 9101: 'silent' } })
    const { why } = explainEndpoint(endpoint!)
    assert.match(why, /^Stranger: whoever answered at this address last .*; nobody answers there now \(ECONNREFUSED\)\.$/)
  })
}

for (const [sentence, world, why] of [
  ['a ghost', { registrations: [{ id: 'a', names: ['VaMsg'], service: 'Va' }, { id: 'b', service: 'Vb' }], says: { 9101: { id: 'b', ...get } } }, 'Absent: only a has it, which is a ghost and says nothing about messages.'],
  ['an older plain registration', { registrations: [{ id: 'a', names: ['VaMsg'], service: 'Va', kind: 'plain', createIndex: 5 }, { id: 'b', service: 'Vb', kind: 'plain' }] }, 'Absent: only a has it, which is a ghost and says nothing about messages.'],
  ['a refused one', { registrations: [{ id: 'a', names: ['VaMsg'], service: 'Va', refused: 'no' }, { id: 'b', port: 9102 }], says: { 9102: { id: 'b', ...get } } }, 'Absent: only a has it, which is refused and says nothing about messages.']
] as ReadonlyArray<readonly [sentence: string, world: World, why: string]>) {
  test(`a name that only ${sentence} has is told so, and is not there for clients`, () => {
    const before = decideWorld({ registrations: [{ id: 'a', names: ['VaMsg'], service: 'Va' }], says: { 9101: { id: 'a', lists: ['VaMsg'] } } })
    const decision = decideWorld({ ...world, memory: before.memory })
    const name = decision.names.find(({ key }) => key === 'vamsg')!
    assert.deepEqual([name.upstream, name.state, explainName(name).why], ['Va', 'absent', why])
    assert.equal(decision.plan.messages.get('vamsg'), undefined)
    const line = describeChanges(before, decision).find(({ fields }) => fields['name'] === 'VaMsg')
    assert.deepEqual([line?.level, line?.message, line?.fields['why']], ['warn', 'message gone', why])
  })
}

test('a name that somebody speaks for is not told of the ghosts that have it too', () => {
  const decision = decideWorld({ registrations: [{ id: 'ghost', service: 'Other' }, { id: 'b' }], says: { 9101: { id: 'b', ...get } } })
  assert.deepEqual(decision.names.map(({ upstream, state }) => [upstream, state]), [['Catalog', 'routed']])
})

test('why a name has gone is told: nothing of its service is left, or nothing of it has the name', () => {
  const before = decideWorld({ registrations: [{ id: 'a', names: ['GetProduct', 'Left'] }], says: { 9101: { id: 'a', lists: ['GetProduct', 'Left'] } } })
  const gone = (registrations: RegistrationLike[]) => describeChanges(before, decideWorld({ registrations, says: { 9101: { id: 'a', ...get } }, memory: before.memory })).filter(({ message }) => message === 'message gone').map(({ fields }) => `${fields['name'] as string} ${fields['why'] as string}`)
  assert.deepEqual(gone([{ id: 'a' }]), ['Left Gone: no registration of Catalog has it any more.'])
  assert.deepEqual(gone([]), ['GetProduct Gone: nothing of Catalog is registered any more.', 'Left Gone: nothing of Catalog is registered any more.'])
  assert.deepEqual(gone([{ id: 'a', names: ['GetProduct', 'Left'] }]), ['Left Absent: registrations of Catalog name it, but no endpoint lists it, so it is no message.'])
})

for (const [sentence, config, by] of [
  ['by name', { messages: { GetProduct: { expose: true } } }, 'messages.GetProduct.expose: true'],
  ['by a pattern', { exposure: { exposeRestricted: ['Get*'] } }, 'exposeRestricted']
] as const) {
  test(`of a restricted message that is let out ${sentence} it is told by what`, () => {
    const { names: [name] } = decideWorld({ registrations: [{ id: 'a' }], says: { 9101: { id: 'a', lists: [operation('GetProduct', { restricted: true })] } }, config: config as never })
    assert.equal(explainName(name!).why, `Routed to Catalog: Catalog lists it, restricted to internal callers, and ${by} lets it out.`)
  })
}
