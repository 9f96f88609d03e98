// The table of routes on screens of any width.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { filterRoutes, formatRoutes, type RoutesAnswer } from '../../src/command/routes-table.ts'

const answer: RoutesAnswer = {
  routes: [
    { message: 'GetProduct', state: 'routed', upstream: 'Catalog', endpoints: 2, why: 'Routed to Catalog: Catalog lists it.' },
    { message: 'RebuildIndex', state: 'hidden', upstream: 'Catalog', endpoints: 0, why: 'Hidden: Catalog restricts it.', hint: 'Write messages.RebuildIndex.expose: true' },
    { message: 'PlaceOrder', state: 'conflict', upstream: 'Orders', endpoints: 0, why: 'Two claim it.' }
  ],
  registrations: [],
  prefixes: [{ path: '/legacy/*', upstream: 'legacy', endpoints: 1 }],
  customRoutes: [{ path: '/products/{Id}', verbs: ['GET'], message: 'GetProduct', upstream: 'Catalog' }]
}
const onlyMessages = { ...answer, prefixes: [], customRoutes: [] }

test('on paper: whole sentences, one line each, and all sections', () => {
  assert.equal(formatRoutes(answer, { columns: undefined, colours: false }), `\
MESSAGE       STATE     UPSTREAM  ENDPOINTS  WHY
GetProduct    routed    Catalog   2          Routed to Catalog: Catalog lists it.
RebuildIndex  hidden    Catalog   0          Hidden: Catalog restricts it. Write messages.RebuildIndex.expose: true
PlaceOrder    conflict  Orders    0          Two claim it.

PATH            VERBS  MESSAGE     UPSTREAM
/products/{Id}  GET    GetProduct  Catalog

PREFIX     UPSTREAM  ENDPOINTS
/legacy/*  legacy    1

3 messages (1 routed, 1 hidden, 1 conflict), 1 path, 1 prefix
`)
})

test('where every other message goes is one more line, and can be looked for', () => {
  const all = { ...answer, fallback: { upstream: 'Old', endpoints: 1 } }
  const shown = (states: string[] | undefined, grep?: RegExp) => formatRoutes(filterRoutes(all, { states, grep }), { columns: undefined, colours: false })
  const line = /^every other message → Old \(fallback, 1 endpoint\): names that nobody ever claimed, as far as expose and hide let them out$/m
  for (const [states, grep] of [[undefined], [['routed']], [undefined, /^Old$/], [undefined, /fallback/i]] as const) assert.match(shown(states as string[] | undefined, grep), line)
  for (const [states, grep] of [[['hidden']], [undefined, /^Catalog$/]] as const) assert.doesNotMatch(shown(states as string[] | undefined, grep), /every other message/)
})

test('every registration is named with its reason, since when, and what to do', () => {
  const registrations = [
    { registration: 'ss-Catalog-1', state: 'ghost', upstream: 'Catalog', url: 'http://10.0.0.1:9101', why: 'Ghost: the process at this address says that it runs as ss-Catalog-2.', hint: 'Deregistering it by hand is safe.', since: '2026-11-27T01:44:15.123Z' },
    { registration: 'ss-Catalog-2', state: 'routed', upstream: 'Catalog', url: 'http://10.0.0.1:9101', why: 'Routed: its checks pass.', since: '2026-11-27T01:44:15.123Z' }
  ]
  const shown = (states?: string[]) => formatRoutes(filterRoutes({ routes: [], registrations, prefixes: [], customRoutes: [] }, { states, grep: undefined }), { columns: undefined, colours: false })
  assert.equal(shown(), `\
REGISTRATION  STATE   UPSTREAM  ENDPOINT              WHY
ss-Catalog-1  ghost   Catalog   http://10.0.0.1:9101  Ghost: the process at this address says that it runs as ss-Catalog-2. Since 2026-11-27T01:44:15Z. Deregistering it by hand is safe.
ss-Catalog-2  routed  Catalog   http://10.0.0.1:9101  Routed: its checks pass. Since 2026-11-27T01:44:15Z.

no messages
`)
  assert.match(shown(['routed']), /^ss-Catalog-2 {2}routed .* Routed: its checks pass\. Since/m)
})

test('a registry that does not answer, or does not vouch for all, is told before all else; one that is well is not', () => {
  const shown = (registry: object) => formatRoutes({ ...onlyMessages, routes: [], registries: [{ registry: 'consul', ok: true, stale: 0, ...registry }] }, { columns: undefined, colours: false })
  assert.equal(shown({}), 'no messages\n')
  assert.equal(shown({ ok: false, stale: 3, lastGoodAt: Date.UTC(2026, 10, 27, 1, 2, 3), error: 'HTTP 500' }), 'consul does not answer, last at 2026-11-27T01:02:03Z (HTTP 500): 3 registrations stay in force as it said last (stale).\n\nno messages\n')
  assert.equal(shown({ stale: 1 }), 'consul answers, and does not vouch for all that it listed: 1 registration stays in force without its word (stale).\n\nno messages\n')
  assert.equal(shown({ dropped: { count: 2, reasons: ['no\u001b id'] } }), 'consul lists 2 that cannot be read (no� id); the others are not affected.\n\nno messages\n')
})

test('what would change it is told of what is routed too', () => {
  const routes = [{ ...answer.routes[0]!, hint: 'It goes when nobody lists it.', since: '2026-11-27T01:44:15.123Z' }]
  assert.match(formatRoutes({ ...onlyMessages, routes }, { columns: undefined, colours: false }), /Catalog lists it\. Since 2026-11-27T01:44:15Z\. It goes when nobody lists it\.$/m)
})

test('on a wide screen the reason is wrapped in its column', () => {
  assert.equal(formatRoutes(onlyMessages, { columns: 86, colours: false }), `\
MESSAGE       STATE     UPSTREAM  ENDPOINTS  WHY
GetProduct    routed    Catalog   2          Routed to Catalog: Catalog lists it.
RebuildIndex  hidden    Catalog   0          Hidden: Catalog restricts it. Write
                                             messages.RebuildIndex.expose: true
PlaceOrder    conflict  Orders    0          Two claim it.

3 messages (1 routed, 1 hidden, 1 conflict)
`)
})

test('on a narrow screen the reason goes below', () => {
  const text = formatRoutes(onlyMessages, { columns: 60, colours: false })
  assert.match(text, /^GetProduct {4}routed {4}Catalog {3}2\n {4}Routed to Catalog: Catalog lists it\.\n/m)
  for (const line of text.split('\n')) assert.ok(line.length <= 60, line)
})

test('colours are for screens that want them', () => {
  assert.ok(formatRoutes(onlyMessages, { columns: 100, colours: true }).includes('\u001b[32mrouted  \u001b[39m'))
  assert.ok(!formatRoutes(onlyMessages, { columns: 100, colours: false }).includes('\u001b'))
})

test('names from a catalog cannot write to the screen', () => {
  const evil = { ...onlyMessages, routes: [{ message: '\u001b[2JX', state: 'hidden', upstream: 'a\nb', endpoints: 0, why: 'c\u202ed' }] }
  const text = formatRoutes(evil, { columns: undefined, colours: false })
  for (const bad of ['\u001b', '\u202e', 'a\nb']) assert.ok(!text.includes(bad))
})

test('a very long name is cut on a screen, not on paper', () => {
  const long = { ...onlyMessages, routes: [{ ...answer.routes[0]!, message: 'M'.repeat(90) }] }
  assert.match(formatRoutes(long, { columns: 120, colours: false }), /^M{39}… {2}routed/m)
  assert.match(formatRoutes(long, { columns: undefined, colours: false }), /^M{90} {2}routed/m)
})

const filters: Array<[string, Parameters<typeof filterRoutes>[1], string[], number]> = [
  ['nothing', { states: undefined, grep: undefined }, ['GetProduct', 'RebuildIndex', 'PlaceOrder'], 2],
  ['state', { states: ['hidden', 'conflict'], grep: undefined }, ['RebuildIndex', 'PlaceOrder'], 0],
  ['name', { states: undefined, grep: /product/i }, ['GetProduct'], 1],
  ['reason', { states: undefined, grep: /restricts/i }, ['RebuildIndex'], 0],
  ['both', { states: ['routed'], grep: /catalog/i }, ['GetProduct'], 1]
]
for (const [name, filter, expected, others] of filters) {
  test(`filtered by ${name}`, () => {
    const { routes, prefixes, customRoutes } = filterRoutes(answer, filter)
    assert.deepEqual(routes.map(route => route.message), expected)
    assert.equal(prefixes.length + customRoutes.length, others)
  })
}

test('nothing to show is said', () => {
  assert.equal(formatRoutes({ routes: [], registrations: [], prefixes: [], customRoutes: [] }, { columns: 80, colours: false }), 'no messages\n')
})

test('what repeating a message does, and who says so, where it is told', () => {
  const routes: RoutesAnswer['routes'] = [
    { message: 'GetProduct', state: 'routed', upstream: 'Catalog', endpoints: 2, effect: 'safe', effectFrom: 'marker', why: 'Listed.' },
    { message: 'PlaceOrder', state: 'routed', upstream: 'Orders', endpoints: 1, effect: 'by method', why: 'Listed.' },
    { message: 'Reindex', state: 'hidden', upstream: 'Catalog', endpoints: 0, effect: 'unsafe', effectFrom: 'yaml', why: 'Hidden.' }
  ]
  assert.equal(formatRoutes({ routes, registrations: [], prefixes: [], customRoutes: [] }, { columns: undefined, colours: false }).split('\n').slice(0, 4).join('\n'), `\
MESSAGE     STATE   UPSTREAM  ENDPOINTS  EFFECT         WHY
GetProduct  routed  Catalog   2          safe (marker)  Listed.
PlaceOrder  routed  Orders    1          by method      Listed.
Reindex     hidden  Catalog   0                         Hidden.`)
})

test('a path that two messages want is a conflict, with its reason; it is found by state and by name', () => {
  const pathConflicts = [{ path: '/things/{Name}', upstream: 'B', message: 'routeb', conflictWith: 'routea', why: 'Conflict: routeb wants it too.', hint: 'By its name it can be called.' }]
  const shown = (states?: string[], grep?: RegExp) => formatRoutes(filterRoutes({ ...onlyMessages, routes: [], pathConflicts }, { states, grep }), { columns: undefined, colours: false })
  const text = `\
PATH            STATE     UPSTREAM  MESSAGE  WHY
/things/{Name}  conflict  B         routeb   Conflict: routeb wants it too. By its name it can be called.

no messages, 1 path in conflict
`
  assert.deepEqual([shown(), shown(['conflict']), shown(undefined, /routea/i)], [text, text, text])
  assert.deepEqual([shown(['routed']), shown(undefined, /other/)], ['no messages\n', 'no messages\n'])
})

test('what a registry says in several lines is shown in as many', () => {
  const shown = formatRoutes({ ...onlyMessages, routes: [], registries: [{ registry: 'file', ok: false, stale: 0, lastGoodAt: Date.UTC(2026, 10, 27, 1, 2, 3), error: 'services.yaml:1:1  is wrong\n  1 | x\u001b\n    | ^' }] }, { columns: undefined, colours: false })
  assert.ok(shown.startsWith('the services file cannot be read, and counts as it was at 2026-11-27T01:02:03Z (services.yaml:1:1  is wrong\n  1 | x\uFFFD\n    | ^): 0 registrations'), shown)
})
