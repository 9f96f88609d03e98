// Which registries count as having answered: only where one has for all that is watched of it may anybody be thought gone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { ConfigSchema, type Config } from '../../src/config/schema.ts'
import { Registries } from '../../src/control/registries.ts'
import { sourceOf } from '../../src/control/watches.ts'
import { registration } from './support.ts'

const { registry: config } = Value.Default(ConfigSchema, { registry: { consul: { services: ['api', 'web'] } } }) as Config
const api = { registry: 'consul' as const, registrations: [registration({ id: 'a1' })], index: 100, reset: false }
const part = { ...api, unread: [{ service: 'web', datacenter: undefined, awaited: true }] }
const far = { ...api, unread: [{ service: 'web', datacenter: 'far', awaited: false }] }

for (const [sentence, snapshots, complete, unanswered, missing] of [
  ['nothing', [], false, ['consul'], ['consul']],
  ['all of it', [api], true, [], []],
  ['a part: it has answered, and who is not in it may be in the other', [part], false, [], ['consul (web)']],
  ['the other part later', [part, api], true, [], []],
  ['all of it, and then a part: the other is remembered', [api, part], true, [], []],
  ['all but what is not waited for', [far], true, [], []]
] as const) {
  test(`a registry has told ${sentence}`, () => {
    const registries = new Registries()
    for (const snapshot of snapshots) registries.told(snapshot, 1_000, undefined)
    assert.deepEqual([registries.isComplete(config, 2_000), registries.unanswered(config), registries.missing(config)], [complete, unanswered, missing])
  })
}

test('a part that cannot be read is waited for as long as what a registry has forgotten, and no longer', () => {
  const registries = new Registries()
  for (const at of [1_000, 5_000]) registries.told(part, at, undefined)
  assert.deepEqual([0, config.unconfirmedMs - 1, config.unconfirmedMs].map(ms => registries.isComplete(config, 1_000 + ms)), [false, false, true])
})

test('a watch that begins anew is told what its registry named last, and nothing of another one or of what is forgotten', () => {
  const registries = new Registries()
  const ids = (source: string) => registries.started('consul', source)?.registrations.map(({ id }) => id)
  assert.equal(ids('here'), undefined)
  registries.told({ ...api, registrations: ['a1', 'a2'].map(id => registration({ id })) }, 1_000, undefined)
  registries.told({ ...api, reset: true }, 2_000, 1_000)
  assert.deepEqual([ids('here'), registries.started('consul', 'here')?.index], [['a1'], 100])
  assert.equal(ids('there'), undefined, 'another Consul')
  assert.equal(ids('there'), undefined, 'which has not answered yet')
  registries.told(api, 3_000, undefined)
  assert.deepEqual(ids('there'), ['a1'])
})

test('what is known from disk of the same registry is known to its watch', () => {
  const kept = new Registries()
  kept.started('consul', sourceOf(config, 'consul'))
  kept.told(api, 1_000, undefined)
  const state = { registries: kept.keep(() => 1_000), knowledge: [], owners: [] }
  const [same, other] = [config, { ...config, consul: { ...config.consul!, agents: ['http://elsewhere:8500'] } }].map(settings => {
    const registries = new Registries()
    registries.restore(state, settings)
    return registries.started('consul', sourceOf(settings, 'consul'))
  })
  assert.deepEqual([same, other], [{ registrations: api.registrations, index: 100 }, undefined])
})
