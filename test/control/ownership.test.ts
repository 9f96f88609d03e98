import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeChanges } from '../../src/control/changes-log.ts'
import { decide } from '../../src/control/decide.ts'
import { explainName } from '../../src/control/explain-name.ts'
import { fromBefore, learn } from '../../src/control/knowledge.ts'
import { emptyMemory, type Decision } from '../../src/control/plan.ts'
import { settle } from '../../src/control/settle.ts'
import { toTargets } from '../../src/control/targets.ts'
import { decideWorld, inputOf, namesOf, tableOf, toAnswer, type RegistrationLike, type World } from './support.ts'

const lists = (id: string, ...names: string[]) => ({ id, lists: names })
const a = { id: 'a', port: 9101, service: 'Alpha', names: ['Pay'], createIndex: 50 }
const b = { id: 'b', port: 9102, service: 'Beta', names: ['Pay'], createIndex: 10 }
const c = { id: 'c', port: 9103, service: 'Gamma', names: ['Pay'], createIndex: 70 }
const bothSay = { 9101: lists('a', 'Pay'), 9102: lists('b', 'Pay'), 9103: lists('c', 'Pay') }
const ownedByAlpha = { ...emptyMemory, owners: new Map([['pay', { upstream: 'Alpha', since: 1 }]]) }

const rows: ReadonlyArray<readonly [sentence: string, world: World, names: Record<string, string>]> = [
  ['the same name from two endpoints of one service is capacity', { registrations: [a, { ...b, service: 'Alpha' }], says: bothSay }, { Alpha: 'routed' }],
  ['the owner keeps it, the newcomer is quarantined, whatever the indexes say', { registrations: [a, b], says: bothSay, memory: ownedByAlpha }, { Alpha: 'routed', Beta: 'quarantined' }],
  ['where nobody remembers, who registered first has it', { registrations: [a, b], says: bothSay }, { Alpha: 'quarantined', Beta: 'routed' }],
  ['it passes at once when the owner is deregistered', { registrations: [b], says: bothSay, memory: ownedByAlpha }, { Beta: 'routed' }],
  ['it passes at once when the owner\'s own list lacks it', { registrations: [{ ...a, names: ['Pay', 'Rest'] }, b], says: { ...bothSay, 9101: lists('a', 'Rest') }, memory: ownedByAlpha }, { Alpha: 'absent', Beta: 'routed' }],
  ['it passes when the owner no longer tags it', { registrations: [{ ...a, names: ['Rest'] }, b], says: { ...bothSay, 9101: lists('a', 'Rest', 'Pay') }, memory: ownedByAlpha }, { Beta: 'routed' }],
  ['it does not pass while one endpoint of the owner still has it', { registrations: [a, { ...a, id: 'a2', port: 9104, names: ['Pay', 'Rest'] }, b], says: { ...bothSay, 9104: lists('a2', 'Rest') }, memory: ownedByAlpha }, { Alpha: 'routed', Beta: 'quarantined' }],
  ['it passes while the owner is deployed without it: what has it drains, the others live without', { registrations: [{ ...a, health: 'maintenance' }, { ...a, id: 'a2', port: 9104, names: ['Rest'] }, b], before: { 9101: lists('a', 'Pay') }, says: { 9102: lists('b', 'Pay'), 9104: lists('a2', 'Rest') }, memory: ownedByAlpha }, { Alpha: 'quarantined', Beta: 'routed' }],
  ['the same where what has it is dead', { registrations: [a, { ...a, id: 'a2', port: 9104, names: ['Rest'] }, b], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'silent', 9102: lists('b', 'Pay'), 9104: lists('a2', 'Rest') }, memory: ownedByAlpha }, { Alpha: 'quarantined', Beta: 'routed' }],
  ['but not while the others do not live', { registrations: [{ ...a, health: 'maintenance' }, { ...a, id: 'a2', port: 9104, names: ['Rest'] }, b], before: { 9101: lists('a', 'Pay'), 9104: lists('a2', 'Rest') }, says: { 9102: lists('b', 'Pay'), 9104: 'silent' }, memory: ownedByAlpha }, { Alpha: 'routed', Beta: 'quarantined' }],
  ['it passes when only a ghost of the owner is left', { registrations: [{ ...a, id: 'ghost' }, { ...a, names: ['Rest'] }, b], says: { ...bothSay, 9101: lists('a', 'Rest') }, memory: ownedByAlpha }, { Beta: 'routed' }],
  ['it never passes to one of several', { registrations: [b, c], says: bothSay, memory: ownedByAlpha }, { Beta: 'conflict', Gamma: 'conflict' }],
  ['it never passes while the owner is merely unhealthy', { registrations: [{ ...a, health: 'critical' }, b], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'sick', 9102: lists('b', 'Pay') }, memory: ownedByAlpha, now: 1e9 }, { Alpha: 'routed', Beta: 'quarantined' }],
  ['it never passes while the owner is in maintenance', { registrations: [{ ...a, health: 'maintenance' }, b], before: { 9101: lists('a', 'Pay') }, says: { 9102: lists('b', 'Pay') }, memory: ownedByAlpha }, { Alpha: 'routed', Beta: 'quarantined' }],
  ['it does not pass to one whose list is not read', { registrations: [b], says: { 9102: { id: 'b', unread: true } }, memory: ownedByAlpha }, { Beta: 'unread' }],
  ['it does not pass before every registry has answered', { registrations: [b], says: bothSay, memory: ownedByAlpha, complete: false }, { Beta: 'quarantined' }],
  ['a newcomer whose list is not read takes nothing', { registrations: [a, c], says: { 9101: lists('a', 'Pay'), 9103: { id: 'c', unread: true } } }, { Alpha: 'routed', Gamma: 'quarantined' }],
  ['where nobody remembers, who registered first is waited for while his list is not read', { registrations: [a, b], says: { 9101: lists('a', 'Pay'), 9102: { id: 'b', unread: true } } }, { Alpha: 'unread', Beta: 'unread' }],
  ['so he is while he has not been asked, in maintenance too', { registrations: [a, { ...b, health: 'maintenance' }], says: { 9101: lists('a', 'Pay') } }, { Alpha: 'unread', Beta: 'unread' }],
  ['not when nobody is there', { registrations: [a, b], says: { 9101: lists('a', 'Pay'), 9102: 'silent' } }, { Alpha: 'routed', Beta: 'quarantined' }],
  ['nor when he publishes no list', { registrations: [a, b], says: { 9101: lists('a', 'Pay'), 9102: { id: 'b', none: true } } }, { Alpha: 'routed', Beta: 'quarantined' }],
  ['nor when somebody had it before', { registrations: [a, b], says: { 9101: lists('a', 'Pay'), 9102: { id: 'b', unread: true } }, memory: ownedByAlpha }, { Alpha: 'routed', Beta: 'quarantined' }],
  ['postern.yaml settles it', { registrations: [a, b], says: bothSay, memory: ownedByAlpha, config: { messages: { PAY: { upstream: 'Beta' } } } }, { Alpha: 'quarantined', Beta: 'routed' }],
  ['postern.yaml settles it also when the owner is gone and several claim it', { registrations: [b, c], says: bothSay, memory: ownedByAlpha, config: { messages: { Pay: { upstream: 'Gamma' } } } }, { Beta: 'quarantined', Gamma: 'routed' }]
]

for (const [sentence, world, names] of rows) {
  test(sentence, () => {
    const decision = decideWorld(world)
    assert.deepEqual(namesOf(decision, 'Pay'), names)
    const routed = Object.keys(names).find(upstream => names[upstream] === 'routed')
    assert.equal(decision.plan.messages.get('pay')?.upstream, Object.values(names).includes('routed') ? routed : decision.plan.messages.get('pay')?.upstream)
    for (const name of decision.names) assert.match(explainName(name).why, /^[A-Z].*\.$/)
  })
}

test('it passes after ownerGoneMs when no endpoint of the owner answers, and the loop is told when', () => {
  const world = (now: number): World => ({ registrations: [a, b], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'silent', 9102: lists('b', 'Pay') }, memory: ownedByAlpha, now })
  const silentAt = decideWorld(world(1_000_000))
  assert.deepEqual(namesOf(silentAt, 'Pay'), { Alpha: 'routed', Beta: 'quarantined' })
  assert.equal(silentAt.nextAt, 1_030_000)
  assert.ok(silentAt.watched.has('http://10.0.0.1:9101'), 'its endpoints are asked on')
  // The same knowledge, thirty seconds on.
  const early = { ...world(1_000_000), config: { registry: { ownerGoneMs: 0 } } }
  assert.deepEqual(namesOf(decideWorld(early), 'Pay'), { Alpha: 'quarantined', Beta: 'routed' })
})

test('a service renamed at its own addresses: the name passes when the new one answers at as many of them, and passes back only for something newer', () => {
  const at = (id: string, n: number, service: string, createIndex: number) => ({ id, port: 9200 + n, service, names: ['Pay'], createIndex })
  const alphas = [at('a1', 1, 'Alpha', 11), at('a2', 2, 'Alpha', 12), at('a3', 3, 'Alpha', 13)]
  const [b1, b2, a4] = [at('b1', 1, 'Beta', 21), at('b2', 2, 'Beta', 22), at('a4', 1, 'Alpha', 31)]
  const says = (...ids: Array<string | 'silent' | undefined>): World['says'] => Object.fromEntries(ids.map((id, n) => [9201 + n, id === 'silent' ? id : { ...id !== undefined && { id }, lists: ['Pay'] }]))
  const ownerOf = (decision: Decision) => Object.entries(namesOf(decision, 'Pay')).filter(([, state]) => state === 'routed').map(([upstream]) => upstream).join()
  const steps: ReadonlyArray<readonly [sentence: string, registrations: World['registrations'], says: World['says'], owner: string]> = [
    ['before', alphas, says('a1', 'a2', 'a3'), 'Alpha'],
    ['one of three replaced', [...alphas, b1], says('b1', 'a2', 'a3'), 'Alpha'],
    ['two of three replaced', [...alphas, b1, b2], says('b1', 'b2', 'a3'), 'Beta'],
    ['nothing new', [...alphas, b1, b2], says('b1', 'b2', 'a3'), 'Beta'],
    ['the old one is deployed again at one of two', [...alphas, b1, b2, a4], says('a4', 'b2', 'a3'), 'Alpha'],
    ['nothing new', [...alphas, b1, b2, a4], says('a4', 'b2', 'a3'), 'Alpha']
  ]
  let memory = ownedByAlpha
  for (const [sentence, registrations, said, owner] of steps) {
    const decision = decideWorld({ registrations: registrations!, says: said!, memory })
    assert.equal(ownerOf(decision), owner, sentence)
    memory = decision.memory as typeof memory
  }
  const once = (registrations: World['registrations'], said: World['says'], before?: World['before']) => decideWorld({ registrations: registrations!, says: said!, ...before && { before }, memory: ownedByAlpha })
  const replaced = once([...alphas, b1], says('b1', 'silent', 'silent'), says('a1', 'a2', 'a3'))
  assert.equal(ownerOf(replaced), 'Beta', 'nobody else of the owner answers: that needs no time')
  assert.deepEqual(replaced.moves, [{ from: 'Alpha', because: 'replaced' }])
  assert.match(explainName(replaced.names.find(({ upstream }) => upstream === 'Beta')!).why, /it moved here from Alpha, which it replaces under another name, at /)
  assert.equal(ownerOf(once([at('a1', 1, 'Alpha', 11), at('a2', 2, 'Alpha', 29), b1], says('b1', 'a2'))), 'Alpha', 'it came before what the owner has there')
  assert.equal(ownerOf(once([...alphas.slice(0, 2), b1], says(undefined, 'a2'))), 'Alpha', 'the process does not say whose it is')
})

test('two services of which one was given a dead instance\'s address are two all the same', () => {
  const shop = (id: string, n: number, createIndex: number, names = ['Browse', 'Pay']) => ({ id, port: 9200 + n, service: 'Alpha', names, createIndex })
  const other = (id: string, n: number, createIndex: number, names = ['Pay', 'Invoice']) => ({ ...shop(id, n, createIndex, names), service: 'Beta' })
  const owned = { ...emptyMemory, owners: new Map(['pay', 'browse'].map(key => [key, { upstream: 'Alpha', since: 1 }])) }
  const registrations = [shop('a1', 1, 11), shop('a2', 2, 12), other('b1', 3, 13), other('b2', 1, 14)]
  const says = { 9201: lists('b2', 'Pay', 'Invoice'), 9202: lists('a2', 'Browse', 'Pay'), 9203: lists('b1', 'Pay', 'Invoice') }
  assert.deepEqual(namesOf(decideWorld({ registrations, says, memory: owned }), 'Pay'), { Alpha: 'routed', Beta: 'quarantined' }, 'it lacks a name of the owner')
  const [one, single] = [['Pay'], registrations.map(item => ({ ...item, names: ['Pay'] }))]
  const saysOne = { 9201: lists('b2', ...one), 9202: lists('a2', ...one), 9203: lists('b1', ...one) }
  assert.deepEqual(namesOf(decideWorld({ registrations: single, says: saysOne, memory: owned }), 'Pay'), { Alpha: 'routed', Beta: 'quarantined' }, 'it lives elsewhere too')
})

test('a service renamed at other addresses: the name passes as soon as nothing of the owner can be called, to one that came later and has all its names', () => {
  const newer = { ...b, createIndex: 60 }
  const says = (ofA: 'silent' | 'sick' | ReturnType<typeof lists>): World['says'] => ({ 9101: ofA, 9102: lists('b', 'Pay') })
  const ownerAfter = (registrations: World['registrations'], said: World['says']) =>
    Object.entries(namesOf(decideWorld({ registrations: registrations!, before: { 9101: lists('a', 'Pay') }, says: said!, memory: ownedByAlpha }), 'Pay')).filter(([, state]) => state === 'routed').map(([upstream]) => upstream).join()
  const drained = { ...a, health: 'maintenance' } as const
  assert.equal(ownerAfter([a, newer], says('silent')), 'Beta', 'it refuses connections')
  assert.equal(ownerAfter([drained, newer], { 9102: lists('b', 'Pay') }), 'Beta', 'it is drained')
  assert.equal(ownerAfter([drained, { ...a, id: 'a2', port: 9104 }, newer], { ...says('silent'), 9104: 'silent' }), 'Beta', 'one is drained, the other dead')
  assert.equal(ownerAfter([drained, { ...a, id: 'a2', port: 9104 }, newer], { ...says('silent'), 9104: lists('a2', 'Pay') }), 'Alpha', 'one lives')
  assert.equal(ownerAfter([a, newer], says('sick')), 'Alpha', 'it is merely unhealthy')
  assert.equal(ownerAfter([a, b], says('silent')), 'Alpha', 'the other one was there before')
  assert.equal(ownerAfter([a, { ...newer, names: ['Pay', 'Rest'] }], { 9101: 'silent', 9102: lists('b', 'Pay', 'Rest') }), 'Alpha', 'one name in common may be a mistake')
  const two = [{ ...a, names: ['Pay', 'Refund'] }, { ...newer, names: ['Pay', 'Refund', 'Rest'] }]
  assert.equal(decideWorld({ registrations: two, before: { 9101: lists('a', 'Pay', 'Refund') }, says: { 9101: 'silent', 9102: lists('b', 'Pay', 'Refund', 'Rest') }, memory: ownedByAlpha }).moves[0]?.because, 'stopped', 'all of several are none')
})

test('what was drained as a whole has its names back when something of it can be called again, and what was stopped for good does not', () => {
  const ofBoth = { 9101: lists('a', 'Pay'), 9102: lists('b', 'Pay') }
  const [drained, newer] = [{ ...a, health: 'maintenance' } as const, { ...b, createIndex: 60 }]
  const lent = decideWorld({ registrations: [drained, newer], before: { 9101: lists('a', 'Pay') }, says: { 9102: lists('b', 'Pay') }, memory: ownedByAlpha, now: 1_000 })
  assert.deepEqual([namesOf(lent, 'Pay'), lent.moves], [{ Alpha: 'quarantined', Beta: 'routed' }, [{ from: 'Alpha', because: 'drained' }]])
  const { why, hint } = explainName(lent.names.find(({ state }) => state === 'routed')!)
  assert.match(`${why} ${hint}`, /^Routed to Beta: Beta lists it; it moved here from Alpha, of which all was drained, at .* It goes back to Alpha when maintenance is taken off there,/)
  const seen = { firstSeenAt: 1_000 }
  const after = (registrations: RegistrationLike[], says: World['says'], more: World = {}) => namesOf(decideWorld({ memory: lent.memory, now: 2_000, ...more, registrations: [...registrations, newer], says: says! }), 'Pay')
  const [back, stays] = [{ Alpha: 'routed', Beta: 'quarantined' }, { Alpha: 'quarantined', Beta: 'routed' }]
  assert.deepEqual(after([{ ...a, ...seen }], ofBoth), back, 'its maintenance is over')
  assert.deepEqual(after([{ ...a, ...seen }], { 9102: lists('b', 'Pay') }, { before: { 9101: lists('a', 'Pay') } }), stays, 'it has not said so yet that it is there')
  assert.deepEqual(after([{ ...a, ...seen }], { ...ofBoth, 9101: 'silent' }, { before: { 9101: lists('a', 'Pay') } }), stays, 'nobody is there')
  assert.deepEqual(after([{ ...a, ...seen, health: 'critical' }], ofBoth), stays, 'it fails its checks')
  assert.deepEqual(after([{ ...drained, ...seen }, { ...a, id: 'a2', createIndex: 70 }], { ...ofBoth, 9101: lists('a2', 'Pay') }), back, 'another process of it stands at its address')
  assert.deepEqual(after([{ ...drained, ...seen }, { ...a, id: 'a2', port: 9104, createIndex: 70 }], { ...ofBoth, 9104: lists('a2', 'Pay') }), stays, 'elsewhere it is a new one')
  assert.deepEqual(after([{ ...a, createIndex: 70 }], ofBoth), stays, 'it was deregistered meanwhile')
  const memory = { ...lent.memory, owners: new Map([['pay', settledFor(lent, 'Beta')]]) }
  assert.deepEqual(after([{ ...a, ...seen }], ofBoth, { memory }), stays, 'an operator has settled it')
})

const settledFor = (decision: Decision, upstream: string) => {
  const settled = settle({ message: 'Pay', upstream }, { decision, owners: decision.memory.owners, yaml: undefined, now: 1_500 })
  assert.ok(settled.kind === 'settled')
  return settled.owner
}

test('what was silent when Postern ran last is not silent because of that', () => {
  const input = inputOf({ registrations: [a, { ...b, createIndex: 60 }], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'silent', 9102: lists('b', 'Pay') }, memory: ownedByAlpha, now: 1_000_000 })
  const knowledge = new Map([...input.knowledge].map(([url, known]) => [url, fromBefore(known)]))
  const restarted = decide({ ...input, knowledge, now: 9_000_000 })
  assert.deepEqual(namesOf(restarted, 'Pay'), { Alpha: 'routed', Beta: 'quarantined' })
  const url = 'http://10.0.0.1:9101'
  assert.equal(learn(knowledge.get(url), toAnswer('silent'), knowledge.get(url)!.key, 9_000_000).silent?.since, 9_000_000, 'it counts from the first question on')
})

test('who registered first is not waited for without end, and the loop is told when; he is asked meanwhile', () => {
  const world = { registrations: [a, b], says: { 9101: lists('a', 'Pay'), 9102: { id: 'b', unread: true } } } satisfies World
  const first = decideWorld({ ...world, now: 1_000 })
  assert.equal(first.nextAt, 31_000)
  assert.ok(first.watched.has('http://10.0.0.1:9102'))
  assert.equal(explainName(first.names.find(({ upstream }) => upstream === 'Alpha')!).why, 'Unread: Beta was registered before Alpha and may have it, and its list of operations is not read yet; calls are answered 503 RoutesNotReady.')
  const before = decideWorld({ ...world, memory: first.memory, now: 30_999 })
  assert.deepEqual([namesOf(before, 'Pay'), before.nextAt], [{ Alpha: 'unread', Beta: 'unread' }, 31_000])
  const late = decideWorld({ ...world, memory: before.memory, now: 31_000 })
  assert.deepEqual(namesOf(late, 'Pay'), { Alpha: 'routed', Beta: 'quarantined' })
  const read = decideWorld({ registrations: [a, b], says: bothSay, memory: before.memory, now: 30_999 })
  assert.deepEqual(namesOf(read, 'Pay'), { Alpha: 'quarantined', Beta: 'routed' })
  // Hidden there, it is waited for all the same, and no longer.
  const hidden = { ...world, config: { upstreams: { Beta: { hide: ['Pay'] } } } }
  const again = decideWorld({ ...hidden, memory: decideWorld({ ...hidden, now: 1_000 }).memory, now: 20_000 })
  assert.equal(again.nextAt, 31_000)
})

test('a drained owner keeps its name while it answers, and not when it is dead as well: it is asked as soon as somebody else claims it', () => {
  const drained = { ...a, health: 'maintenance' } as const
  const world = { registrations: [drained, b], memory: ownedByAlpha, config: { registry: { ownerGoneMs: 0 } } } satisfies World
  const ofB = { 9102: lists('b', 'Pay') }
  const decided = (more: World) => namesOf(decideWorld({ ...world, ...more }), 'Pay')
  const unasked = decideWorld({ ...world, before: { 9101: 'silent' }, says: ofB })
  assert.deepEqual(namesOf(unasked, 'Pay'), { Alpha: 'unread', Beta: 'quarantined' }, 'what was known before it was drained is no answer')
  const urlsOf = (decision: Decision) => toTargets(decision, {}, new Map()).map(({ question }) => question.url)
  assert.deepEqual(urlsOf(unasked), ['http://10.0.0.1:9101', 'http://10.0.0.1:9102'])
  assert.deepEqual(urlsOf(decideWorld({ registrations: [drained] })), [], 'of no interest to anybody')
  assert.deepEqual(decided({ says: { ...ofB, 9101: lists('a', 'Pay') } }), { Alpha: 'routed', Beta: 'quarantined' })
  assert.deepEqual(decided({ before: { 9101: lists('a', 'Pay') }, says: { ...ofB, 9101: 'silent' } }), { Alpha: 'quarantined', Beta: 'routed' })
  const other = { ...a, id: 'a2', port: 9104 }
  assert.deepEqual(decided({ registrations: [drained, other, b], before: { 9101: lists('a', 'Pay') }, says: { ...ofB, 9101: 'silent', 9104: lists('a2', 'Pay') } }), { Alpha: 'routed', Beta: 'quarantined' }, 'another of it lives')
})

test('an owner that goes before anybody else claims its name has handed it on all the same', () => {
  const rest = { ...a, id: 'r', port: 9105, service: 'Rest', names: ['Rest'] }
  const says = { ...bothSay, 9105: lists('r', 'Rest') }
  const owned = decideWorld({ registrations: [a, rest], says, now: 1_000 })
  const gone = decideWorld({ registrations: [rest], says, memory: owned.memory, now: 2_000 })
  assert.deepEqual([...gone.memory.departed], [['pay', 'Alpha']])
  const waiting = decideWorld({ registrations: [rest, b], says: { 9105: says[9105] }, memory: gone.memory, now: 3_000 })
  assert.deepEqual(namesOf(waiting, 'Pay'), { Beta: 'unread' })
  const moved = decideWorld({ registrations: [rest, b], says, memory: waiting.memory, now: 4_000 })
  assert.deepEqual(moved.moves, [{ from: 'Alpha', because: 'gone' }])
  const [line] = describeChanges(waiting, moved).filter(({ fields }) => fields['name'] === 'Pay')
  assert.deepEqual([line?.message, line?.fields['from']], ['message moved', 'Alpha'])
  assert.match(String(line?.fields['why']), /it moved here from Alpha, who has gone/)
  assert.deepEqual([...moved.memory.departed], [])
  const later = decideWorld({ registrations: [rest, b], says, memory: moved.memory, now: 5_000 })
  assert.deepEqual([later.moves, describeChanges(moved, later)], [[], []], 'told once')
})

test('an owner that comes back has not moved anything, and a name that nobody had before is new', () => {
  const owned = decideWorld({ registrations: [a], says: bothSay, now: 1_000 })
  const gone = decideWorld({ registrations: [], memory: owned.memory, now: 2_000 })
  const back = decideWorld({ registrations: [a], says: bothSay, memory: gone.memory, now: 3_000 })
  assert.deepEqual([back.moves, describeChanges(gone, back).find(({ fields }) => fields['name'] === 'Pay')?.message], [[], 'message routed'])
  assert.deepEqual(decideWorld({ registrations: [b], says: bothSay, memory: decideWorld({ registrations: [] }).memory }).moves, [])
})

test('what moved stays moved, and the old owner back from the dead is the newcomer', () => {
  const moved = decideWorld({ registrations: [b], says: bothSay, memory: ownedByAlpha })
  const back = decideWorld({ registrations: [a, b], says: bothSay, memory: moved.memory })
  assert.deepEqual(namesOf(back, 'Pay'), { Alpha: 'quarantined', Beta: 'routed' })
})

test('the log tells a move, a conflict and its end in these words', () => {
  const before = decideWorld({ registrations: [a], says: bothSay })
  const conflict = decideWorld({ registrations: [a, b], says: bothSay, memory: before.memory })
  const after = decideWorld({ registrations: [b], says: bothSay, memory: conflict.memory })
  const words = (from: typeof before | undefined, to: typeof before) => describeChanges(from, to).map(({ level, message, fields }) => `${level} ${message} ${fields['service'] ?? ''}`)
  assert.deepEqual(words(undefined, before), ['info first route table '])
  assert.deepEqual(words(before, conflict), ['warn message quarantined Beta', 'info endpoint routed Beta'])
  assert.deepEqual(words(conflict, after), ['info message moved Beta', 'info endpoint deregistered Alpha'])
  assert.deepEqual(describeChanges(conflict, after)[0]?.fields['from'], 'Alpha')
})

test('a storm of changes is a bounded number of lines', () => {
  const before = decideWorld({})
  const many = Array.from({ length: 500 }, (_, index) => ({ id: `s${index}`, port: 10_000 + index, service: `S${index}`, names: [`M${index}`] }))
  const lines = describeChanges(before, decideWorld({ registrations: many }))
  assert.equal(lines.length, 201)
  assert.equal(lines.at(-1)?.fields['more'], 800)
})

test('of more changes than lines, those are told that somebody may have to act on, and those of names that moved', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => ({ id: `s${index}`, port: 10_000 + index, service: `S${index}`, names: [`M${index}`] }))
  const before = decideWorld({ registrations: [a, c], says: { ...bothSay, 9103: lists('c', 'Rest') } })
  const after = decideWorld({
    registrations: [...many(500), b, { ...c, names: ['Rest'] }, { ...c, id: 'd', port: 9104, service: 'Delta', names: ['Rest'] }, { ...c, id: 'ill', port: 9105, service: 'Ill', names: ['Ill'], health: 'critical' }],
    says: { 9102: lists('b', 'Pay'), 9103: lists('c', 'Rest'), 9104: lists('d', 'Rest') },
    memory: { ...before.memory, owners: new Map([...before.memory.owners, ['rest', { upstream: 'Gamma', since: 1 }]]) },
    config: { registry: { panic: false } }
  })
  const lines = describeChanges(before, after)
  assert.equal(lines.length, 201)
  assert.deepEqual(lines.slice(0, 3).map(({ level, message, fields }) => `${level} ${message} ${fields['service']}`), ['warn message quarantined Delta', 'warn endpoint critical Ill', 'info message moved Beta'])
  assert.deepEqual(lines.at(-1)?.message, 'more changes than lines')
})

test('a newer twin of a service of one instance has its names while that restarts, and gives them back where that takes no longer than ownerGoneMs', () => {
  const twin = { ...b, createIndex: 60 }
  const back = { ...a, id: 'a2', createIndex: 70 }
  const [returned, stays] = [{ Alpha: 'routed', Beta: 'quarantined' }, { Alpha: 'quarantined', Beta: 'routed' }]
  const dead = decideWorld({ registrations: [a, twin], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'silent', 9102: lists('b', 'Pay') }, memory: ownedByAlpha })
  assert.deepEqual([namesOf(dead, 'Pay'), dead.moves], [stays, [{ from: 'Alpha', because: 'stopped' }]])
  assert.ok(dead.watched.has('http://10.0.0.1:9101'), 'it is asked on')
  const after = (ms: number, registrations: RegistrationLike[], says: World['says'], config: World['config'] = {}, before: World['before'] = {}) =>
    decideWorld({ config, before, registrations: [...registrations.map(one => ({ ...one, firstSeenAt: one.id === 'a' ? 1_000_000 : 1_000_000 + ms })), twin], says: { 9102: lists('b', 'Pay'), ...says }, memory: dead.memory, now: 1_000_000 + ms })
  const again = after(29_000, [a, back], { 9101: lists('a2', 'Pay') })
  assert.deepEqual([namesOf(again, 'Pay'), again.moves], [returned, [{ from: 'Beta', because: 'returned' }]])
  assert.deepEqual(namesOf(after(29_000, [a], { 9101: lists('a', 'Pay') }), 'Pay'), returned, 'the same registration')
  assert.deepEqual(namesOf(after(29_000, [a, back], { 9101: 'silent' }), 'Pay'), stays, 'it does not answer')
  assert.deepEqual(namesOf(after(29_000, [a], { 9101: 'slow' }, {}, { 9101: lists('a', 'Pay') }), 'Pay'), stays, 'it takes connections and answers nobody')
  assert.deepEqual(namesOf(after(30_000, [a, back], { 9101: lists('a2', 'Pay') }), 'Pay'), stays, 'so late it is the newcomer')
  assert.deepEqual(namesOf(after(29_000, [{ ...back, port: 9104 }], { 9104: lists('a2', 'Pay') }), 'Pay'), stays, 'it is a new one, elsewhere')
  assert.deepEqual(namesOf(after(30_000, [a, back], { 9101: lists('a2', 'Pay') }, { messages: { Pay: { upstream: 'Alpha' } } }), 'Pay'), returned, 'postern.yaml says so')
})

test('that the checks of who refuses connections stand otherwise by now is no reason to doubt it; that somebody else is registered there is', () => {
  const newer = { ...b, createIndex: 60 }
  const owner = (...registrations: RegistrationLike[]) => {
    const input = inputOf({ registrations: [a, newer], before: { 9101: lists('a', 'Pay') }, says: { 9101: 'silent', 9102: lists('b', 'Pay') }, memory: ownedByAlpha })
    // As it was said, for the registrations of that time.
    return namesOf(decide({ ...input, entries: inputOf({ registrations: [...registrations, newer] }).entries }), 'Pay')['Beta']
  }
  assert.equal(owner(a), 'routed')
  for (const health of ['critical', 'warning', 'unchecked'] as const) assert.equal(owner({ ...a, health }), 'routed', health)
  assert.equal(owner({ ...a, health: 'critical' }, { ...a, id: 'a2', health: 'critical', createIndex: 20 }), 'quarantined')
})

test('a service renamed takes its names along', () => {
  const before = decideWorld({ registrations: [a], says: bothSay })
  const during = decideWorld({ registrations: [a, { ...a, id: 'n', port: 9102, service: 'AlphaNew' }], says: { 9101: lists('a', 'Pay'), 9102: lists('n', 'Pay') }, memory: before.memory })
  const after = decideWorld({ registrations: [{ ...a, id: 'n', port: 9102, service: 'AlphaNew' }], says: { 9102: lists('n', 'Pay') }, memory: during.memory })
  assert.deepEqual([before, during, after].flatMap(tableOf), ['Pay→Alpha 9101', 'Pay→Alpha 9101', 'Pay→AlphaNew 9102'])
})
