// What postern.yaml says of a name's owner, where it names somebody who does not claim it: by a slip of the pen, or on purpose.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyMemory, type Decision } from '../../src/control/plan.ts'
import { explainName } from '../../src/control/explain-name.ts'
import { decideWorld, namesOf, operation, tableOf, type ConfigLike, type RegistrationLike, type World } from './support.ts'

const orders = { id: 'o', port: 9101, service: 'Orders', names: ['Pay'], createIndex: 50 }
const billing = { id: 'b', port: 9102, service: 'Billing', names: ['Pay'], createIndex: 10 }
const bare = { id: 'x', port: 9103, service: 'Bare', names: ['Rest'], createIndex: 60 }
const says: NonNullable<World['says']> = { 9101: { id: 'o', lists: ['Pay'] }, 9102: { id: 'b', lists: ['Pay'] }, 9103: { id: 'x', lists: ['Rest'] } }
const ownedByOrders = { ...emptyMemory, owners: new Map([['pay', { upstream: 'Orders', since: 1 }]]) }
const giveTo = (upstream: string): ConfigLike => ({ messages: { Pay: { upstream } } })
const payOf = (decision: Decision) => tableOf(decision).find(row => row.startsWith('Pay'))

test('a name given to nobody and taken back is whose it was, and has not moved', () => {
  const registrations = [orders, billing]
  const wrong = decideWorld({ registrations, says, memory: ownedByOrders, config: giveTo('Order') })
  assert.deepEqual([payOf(wrong), namesOf(wrong, 'Pay'), wrong.moves], ['Pay→Order ', { Order: 'routed', Orders: 'quarantined', Billing: 'quarantined' }, []])
  const still = decideWorld({ registrations, says, memory: wrong.memory, config: giveTo('Order') })
  assert.deepEqual(still.moves, [])
  const back = decideWorld({ registrations, says, memory: still.memory })
  assert.deepEqual([namesOf(back, 'Pay'), back.moves], [{ Orders: 'routed', Billing: 'quarantined' }, []])
  assert.equal(back.memory.owners.get('pay')?.since, 1)
})

test('the same where nobody had it before, and where an earlier version remembers nobody as its owner', () => {
  const registrations = [orders, billing]
  for (const memory of [emptyMemory, { ...emptyMemory, owners: new Map([['pay', { upstream: 'Order', since: 1 }]]) }]) {
    const wrong = decideWorld({ registrations, says, memory, config: giveTo('Order') })
    const back = decideWorld({ registrations, says, memory: wrong.memory })
    assert.deepEqual(namesOf(back, 'Pay'), { Orders: 'quarantined', Billing: 'routed' }, 'who registered first')
  }
})

test('an owner that goes meanwhile has gone', () => {
  const wrong = decideWorld({ registrations: [orders, billing], says, memory: ownedByOrders, config: giveTo('Order') })
  const gone = decideWorld({ registrations: [billing], says, memory: wrong.memory, config: giveTo('Order') })
  const back = decideWorld({ registrations: [billing], says, memory: gone.memory })
  assert.deepEqual([namesOf(back, 'Pay'), back.moves], [{ Billing: 'routed' }, [{ from: 'Orders', because: 'gone' }]])
})

test('what it gives to one who claims it is his for good, the line taken out again', () => {
  const given = decideWorld({ registrations: [orders, billing], says, memory: ownedByOrders, config: giveTo('Billing') })
  assert.deepEqual(given.moves, [{ from: 'Orders', because: 'settled' }])
  const after = decideWorld({ registrations: [orders, billing], says, memory: given.memory })
  assert.deepEqual([namesOf(after, 'Pay'), after.moves], [{ Orders: 'quarantined', Billing: 'routed' }, []])
})

const x2 = { ...bare, id: 'x2', port: 9104 }
const [lists, listsAll] = [{ id: 'x2', lists: ['Rest'] }, { id: 'x2', lists: ['Rest', 'Pay'] }]
const rows: ReadonlyArray<readonly [sentence: string, registrations: readonly RegistrationLike[], more: World['says'], pay: string, cause: string]> = [
  ['whose list lacks it does not get it', [bare], {}, 'Pay→Bare ', 'lacks'],
  ['nor where it is among its tags', [{ ...bare, names: ['Rest', 'Pay'] }], {}, 'Pay→Bare ', 'lacks'],
  ['nor a plain one that has told a list', [{ ...bare, kind: 'plain' }], {}, 'Pay→Bare ', 'lacks'],
  ['of two it goes to the one that lists it, though no tag says so', [bare, x2], { 9104: listsAll }, 'Pay→Bare 9104', 'yaml'],
  ['of two that lack it to none', [bare, x2], { 9104: lists }, 'Pay→Bare ', 'lacks'],
  ['to one that publishes no list', [bare, x2], { 9104: { id: 'x2', none: true } }, 'Pay→Bare 9104', 'yaml'],
  ['not to one whose list is not read yet: it may be restricted there', [bare, x2], { 9104: { id: 'x2', unread: true } }, 'Pay→Bare ', 'lacks'],
  ['a list of which something was left out does not say that it lacks it', [bare], { 9103: { id: 'x', lists: ['Rest'], cut: true } }, 'Pay→Bare 9103', 'yaml'],
  ['where nobody publishes a list it gets it', [bare], { 9103: { id: 'x', none: true } }, 'Pay→Bare 9103', 'yaml'],
  ['nested types are listed by their last part', [bare], { 9103: { id: 'x', lists: ['Rest', operation('Outer.Pay')] } }, 'Pay→Bare 9103', 'yaml']
]
for (const [sentence, registrations, more, pay, cause] of rows) {
  test(`given to a service that does not claim it: ${sentence}`, () => {
    const decision = decideWorld({ registrations: [...registrations, billing], says: { ...says, ...more }, config: giveTo('Bare') })
    assert.equal(payOf(decision), pay)
    const name = decision.names.find(({ upstream, name }) => upstream === 'Bare' && name === 'Pay')!
    assert.equal(name.cause, cause)
    if (cause === 'lacks') assert.deepEqual(explainName(name), { why: 'Routed to Bare, because postern.yaml says so, but no endpoint of it lists it: calls are answered 503.', hint: 'Correct messages.Pay.upstream in postern.yaml, or deploy Bare with it. Billing has it.' })
  })
}

test('the paths of what postern.yaml gives to one who does not claim it are routed, after those of who owns his', () => {
  const listed = { id: 'x', lists: [operation('Rest', { routes: ['/rest'] }), operation('Pay', { routes: ['/pay', '/rest'] })] }
  const world: World = { registrations: [bare, billing], says: { ...says, 9103: listed } }
  const { memory } = decideWorld({ ...world, now: 1_000 })
  const decision = decideWorld({ ...world, memory, now: 2_000, config: { ...giveTo('Bare'), upstreams: { Bare: { customRoutes: true } } } })
  assert.deepEqual(decision.plan.customRoutes.get('Bare')?.filter(({ routed }) => routed).map(({ path, message }) => `${path} ${message}`).sort(), ['/pay pay', '/rest rest'])
})
