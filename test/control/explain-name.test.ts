// What is said of names is true, and what is said to change them does, also where more than two services are at it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeChanges } from '../../src/control/changes-log.ts'
import { countDecision } from '../../src/control/describe.ts'
import { explainName } from '../../src/control/explain-name.ts'
import { emptyMemory, type Decision, type Memory } from '../../src/control/plan.ts'
import { settle } from '../../src/control/settle.ts'
import { decideWorld, namesOf, type RegistrationLike, type World } from './support.ts'

const one = (service: string, port: number, names = ['Pay'], more: Partial<RegistrationLike> = {}): RegistrationLike => ({ id: service.toLowerCase(), port, service, names, createIndex: port, ...more })
const [orders, billing, paper] = [one('Orders', 9101), one('Billing', 9102, ['Pay', 'Invoice']), one('Paper', 9103, ['Pay', 'Print'])]
const says: World['says'] = { 9101: { id: 'orders', lists: ['Pay'] }, 9102: { id: 'billing', lists: ['Pay', 'Invoice'] }, 9103: { id: 'paper', lists: ['Pay', 'Print'] } }
const owned: Memory = { ...emptyMemory, owners: new Map([['pay', { upstream: 'Orders', since: 1 }]]) }
const saidOf = (decision: Decision, upstream: string, name = 'pay') => explainName(decision.names.find(item => item.key === name && item.upstream === upstream)!)
const settleBy = (upstream: string) => `write messages.Pay.upstream: ${upstream}, or run postern settle Pay ${upstream}`

test('of three services that claim a name, each is told who has it, and that nobody gets it when that one goes', () => {
  const three: World = { registrations: [orders, billing, paper], says, memory: owned }
  const decision = decideWorld(three)
  assert.deepEqual(saidOf(decision, 'Orders'), { why: 'Routed to Orders, who had it first; Billing and Paper claim it too and are quarantined.', hint: 'To settle it write messages.Pay.upstream or run postern settle Pay UPSTREAM, or take the message out of all but one of the services.' })
  assert.deepEqual(saidOf(decision, 'Billing'), { why: 'Quarantined: Orders owns the name and keeps its traffic.', hint: `When Orders goes, nobody gets it, because Paper claims it too. If it is to be Billing's, ${settleBy('Billing')}` })
  assert.deepEqual(saidOf(decision, 'Paper'), { why: 'Quarantined: Orders owns the name and keeps its traffic.', hint: `When Orders goes, nobody gets it, because Billing claims it too. If it is to be Paper's, ${settleBy('Paper')}` })
  const lines = describeChanges({ ...decision, names: [] }, decision).filter(({ message }) => message === 'message quarantined')
  assert.deepEqual(lines.map(({ fields }) => fields['why']), Array(2).fill('Quarantined: Orders owns the name and keeps its traffic.'))

  const gone = decideWorld({ ...three, registrations: [billing, paper], memory: decision.memory })
  assert.deepEqual(namesOf(gone, 'Pay'), { Billing: 'conflict', Paper: 'conflict' })
  assert.equal(saidOf(gone, 'Paper').why, 'Conflict: Orders, who had it, has gone or has it no more, and Billing and Paper both claim it; nobody gets it.')
  const left = decideWorld({ ...three, registrations: [paper], memory: gone.memory })
  assert.deepEqual(namesOf(left, 'Pay'), { Paper: 'routed' }, 'taken out of all but one')
})

test('of two, the newcomer is told when the name passes to it', () => {
  const decision = decideWorld({ registrations: [orders, billing], says, memory: owned })
  assert.equal(saidOf(decision, 'Orders').why, 'Routed to Orders, who had it first; Billing claims it too and is quarantined.')
  assert.equal(saidOf(decision, 'Billing').hint, `It passes to Billing when Orders is deregistered, no longer has it, is replaced by it under another name, or nobody can be reached there for registry.ownerGoneMs; or ${settleBy('Billing')}`)
})

test('a newcomer that may not have the name, or publishes no list, is not told that it gets it', () => {
  const hint = (said: object, ...more: RegistrationLike[]) => saidOf(decideWorld({ registrations: [orders, paper, ...more], says: { ...says, 9103: { id: 'paper', ...said } }, memory: owned }), 'Paper').hint
  assert.match(hint({ unread: true }), /for registry\.ownerGoneMs, once the list of operations of Paper is read and has it; or /)
  assert.match(hint({ unread: true }, billing), /^When Orders goes, Billing gets it\. If /)
  assert.equal(hint({ none: true }), 'It does not pass to Paper by itself, which publishes no list of operations. If it is to have it, write upstreams.Paper.trustTags: true and messages.Pay.upstream: Paper')
  const followed = decideWorld({ registrations: [orders, paper], says: { ...says, 9103: { id: 'paper', none: true } }, memory: owned, config: { upstreams: { Paper: { trustTags: true } }, messages: { Pay: { upstream: 'Paper' } } } })
  assert.deepEqual(namesOf(followed, 'Pay'), { Orders: 'quarantined', Paper: 'routed' })
})

test('what postern.yaml gives to a name that nothing has is said to be so, in every row', () => {
  const decision = decideWorld({ registrations: [orders, billing], says, memory: owned, config: { messages: { Pay: { upstream: 'Order' } } } })
  assert.deepEqual(saidOf(decision, 'Order'), { why: 'Routed to Order, because postern.yaml says so, but nothing called Order is known: calls are answered 503.', hint: 'Correct messages.Pay.upstream in postern.yaml, or register Order. Orders and Billing have it.' })
  for (const upstream of ['Orders', 'Billing']) assert.deepEqual(saidOf(decision, upstream), { why: 'Quarantined: postern.yaml gives the name to Order, and nothing called Order is known.', hint: 'Correct messages.Pay.upstream in postern.yaml, or register Order.' })
})

test('a conflict that postern.yaml has settled is none any more: in no metric, and no warning', () => {
  const before = decideWorld({ registrations: [orders, billing, paper], says, memory: owned })
  assert.equal(countDecision(before).conflicts, 1)
  for (const upstream of ['Orders', 'Billing']) {
    const after = decideWorld({ registrations: [orders, billing, paper], says, memory: before.memory, config: { messages: { Pay: { upstream } } } })
    assert.equal(countDecision(after).conflicts, 0)
    assert.match(saidOf(after, upstream).why, upstream === 'Orders' ? /^Routed to Orders, to whom postern\.yaml gives it; Billing and Paper claim it too/ : /^Routed to Billing, to whom postern\.yaml gives it; Orders and Paper claim/)
    assert.deepEqual(saidOf(after, 'Paper'), { why: `Quarantined: postern.yaml gives the name to ${upstream}.`, hint: 'It stays so until messages.Pay.upstream is changed in postern.yaml.' })
    const lines = describeChanges(before, after)
    assert.ok(lines.length > 0 && lines.every(({ level }) => level === 'info'), JSON.stringify(lines))
    const again = decideWorld({ registrations: [orders, billing, paper], says, memory: after.memory })
    assert.equal(countDecision(again).conflicts, 1, 'the line is taken out')
    assert.ok(describeChanges(after, again).some(({ level, message }) => level === 'warn' && message === 'message quarantined'))
  }
})

test('nor is one that an operator has settled, be it for the owner, until that one has gone', () => {
  const world: World = { registrations: [orders, billing, paper], says, memory: owned }
  const before = decideWorld(world)
  for (const upstream of ['Orders', 'Billing']) {
    const settled = settle({ message: 'Pay', upstream, note: 'agreed with Ann' }, { decision: before, owners: before.memory.owners, yaml: undefined, now: 7 })
    assert.ok(settled.kind === 'settled')
    const after = decideWorld({ ...world, memory: { ...before.memory, owners: new Map([['pay', settled.owner]]) } })
    assert.equal(countDecision(after).conflicts, 0)
    assert.match(saidOf(after, upstream).why, upstream === 'Orders' ? /^Routed to Orders, to whom an operator gave it \(agreed with Ann\); Billing and Paper claim it too and are quarantined\.$/ : /^Routed to Billing; Orders and Paper claim .*; it moved here from Orders, by an operator's word \(agreed with Ann\), at /)
    assert.match(saidOf(after, upstream).hint, /^It is settled; to settle it otherwise write /)
    assert.equal(saidOf(after, 'Paper').why, `Quarantined: ${upstream} owns the name, to whom an operator gave it (agreed with Ann), and keeps its traffic.`)
    assert.ok(describeChanges(before, after).every(({ level }) => level === 'info'))
    const others = [orders, billing].filter(({ service }) => service !== upstream)
    assert.equal(countDecision(decideWorld({ ...world, registrations: [...others, paper], memory: after.memory })).conflicts, 1)
  }
})

const staging = one('Staging', 9104, ['Pay'], { createIndex: 9999 })
const lentSays = { 9104: { id: 'staging', lists: ['Pay'] } } as const

test('a name that is lent while its owner is stopped: both are told until when it goes back by itself', () => {
  const now = Date.parse('2026-11-27T12:00:00Z')
  const world: World = { registrations: [{ ...orders, firstSeenAt: 1 }, staging], before: { 9101: { id: 'orders', lists: ['Pay'] } }, says: { ...lentSays, 9101: 'silent' }, memory: owned, now }
  const lent = decideWorld(world)
  assert.deepEqual(namesOf(lent, 'Pay'), { Orders: 'quarantined', Staging: 'routed' })
  assert.match(saidOf(lent, 'Staging').why, /^Routed to Staging: Staging lists it; it moved here from Orders, of which nothing took connections any more, at /)
  assert.equal(saidOf(lent, 'Staging').hint, 'It goes back to Orders if what that one had is called again, or a new process in its place, until 2026-11-27T12:00:30.000Z (registry.ownerGoneMs); else it stays. If Staging is to have it now, run postern settle Pay Staging')
  assert.equal(saidOf(lent, 'Orders').hint, `It comes back by itself if Orders can be called again until 2026-11-27T12:00:30.000Z (registry.ownerGoneMs). To have it later, ${settleBy('Orders')}`)
  const back = decideWorld({ ...world, says: { ...lentSays, 9101: { id: 'orders', lists: ['Pay'] } }, memory: lent.memory, now: now + 29_000 })
  assert.deepEqual(namesOf(back, 'Pay'), { Orders: 'routed', Staging: 'quarantined' })
  const late = decideWorld({ ...world, memory: lent.memory, now: now + 31_000 })
  assert.match(saidOf(late, 'Orders').hint, /^It passes to Orders when Staging is deregistered/)
})

test('the same in maintenance, where nothing but that lasts', () => {
  const lent = decideWorld({ registrations: [{ ...orders, health: 'maintenance' }, staging], before: { 9101: { id: 'orders', lists: ['Pay'] } }, says: lentSays, memory: owned })
  assert.match(saidOf(lent, 'Staging').hint, /^It goes back to Orders when maintenance is taken off there, and stays when what is in maintenance is deregistered\. If Staging is to have it now, run postern settle Pay Staging$/)
  assert.equal(saidOf(lent, 'Orders').hint, `It comes back by itself when maintenance is taken off. To have it now, ${settleBy('Orders')}`)
  // What postern.yaml has given goes nowhere.
  const pinned = decideWorld({ registrations: [{ ...orders, health: 'maintenance' }, staging], before: { 9101: { id: 'orders', lists: ['Pay'] } }, says: lentSays, memory: lent.memory, config: { messages: { Pay: { upstream: 'Staging' } } } })
  for (const upstream of ['Orders', 'Staging']) assert.equal(saidOf(pinned, upstream).hint, 'It stays so until messages.Pay.upstream is changed in postern.yaml.')
})

test('what its registry has forgotten, and nobody can call, is no rival; lent by it, a name goes back when it registers again', () => {
  const forgotten = { ...orders, unconfirmedSince: 999_000, firstSeenAt: 1 }
  const before: World['before'] = { 9101: { id: 'orders', lists: ['Pay'] } }
  const three: World = { registrations: [forgotten, { ...billing }, paper], before, says: { ...says, 9101: 'silent' }, memory: { ...emptyMemory, owners: new Map([['pay', { upstream: 'Billing', since: 1 }]]) } }
  assert.match(saidOf(decideWorld(three), 'Paper').hint, /^It passes to Paper when Billing is deregistered/)
  assert.match(saidOf(decideWorld(three), 'Orders').hint, /^When Billing goes, Paper gets it\./)
  assert.match(saidOf(decideWorld(three), 'Billing').why, /; Paper claims it too and is quarantined\.$/)
  assert.match(saidOf(decideWorld({ ...three, says }), 'Paper').hint, /^When Billing goes, nobody gets it, because Orders claims it too\./, 'while it answers it is one')
  const drained: World = { registrations: [{ ...orders, health: 'maintenance', firstSeenAt: 1 }, staging], before, says: lentSays, memory: owned }
  const lent = decideWorld({ ...drained, registrations: [{ ...forgotten, health: 'maintenance' }, staging], memory: decideWorld(drained).memory })
  assert.equal(saidOf(lent, 'Staging').hint, 'It goes back to Orders if that one registers again and is not in maintenance then; else it stays. If Staging is to have it now, run postern settle Pay Staging')
  assert.equal(saidOf(lent, 'Orders').hint, `It comes back by itself if it registers again and is not in maintenance then. To have it now, ${settleBy('Orders')}`)
  const again = decideWorld({ ...drained, registrations: [{ ...orders, firstSeenAt: 1 }, staging], says: { ...lentSays, ...before }, memory: lent.memory })
  assert.deepEqual(namesOf(again, 'Pay'), { Orders: 'routed', Staging: 'quarantined' })
})

test('a list that is not read because all is in maintenance: that is said, and what helps', () => {
  const drained = decideWorld({ registrations: [{ ...orders, health: 'maintenance' }] })
  assert.deepEqual(saidOf(drained, 'Orders'), { why: 'Unread: the list of operations of Orders is not read yet, and all of it that may have the name is in maintenance; calls are answered 503 RoutesNotReady.', hint: 'It is read when maintenance is taken off.' })
  const beside = decideWorld({ registrations: [{ ...orders, health: 'maintenance' }, { ...orders, id: 'o2', port: 9105 }] })
  assert.match(saidOf(beside, 'Orders').hint, /^It is asked for again and again/)
  const builtIn = decideWorld({ registrations: [{ ...orders, health: 'maintenance' }], config: { messages: { Authenticate: { upstream: 'Orders' } } } })
  assert.match(saidOf(builtIn, 'Orders', 'authenticate').why, /is in maintenance; calls are answered 503/)
})

test('a name that several registrations have which say nothing is told with their number', () => {
  const decision = decideWorld({ registrations: [one('Va', 9101, ['VaMsg'], { id: 'a' }), one('Va', 9106, ['VaMsg'], { id: 'b', refused: 'no' }), one('Vb', 9101, ['Pay'], { id: 'c' })], says: { 9101: { id: 'c', lists: ['Pay'] } } })
  assert.deepEqual(saidOf(decision, 'Va', 'vamsg'), { why: 'Absent: only registrations have it that say nothing about messages, b (refused) and 1 more.', hint: 'Their rows say what is wrong with them.' })
})

test('a hint can be copied as it stands, whatever services are called', () => {
  const strange = one('My $(reboot) shop', 9103, ['Pay', 'Print'], { id: 'paper' })
  assert.match(saidOf(decideWorld({ registrations: [orders, strange], says, memory: owned }), 'My $(reboot) shop').hint, /write messages\.Pay\.upstream: "My \$\(reboot\) shop", or run postern settle Pay 'My \$\(reboot\) shop'$/)
})
