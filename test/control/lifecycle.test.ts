// The recorded life of three real hosts on a real Consul, replayed: what is routed after each step.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseOperations } from '../../src/contracts/operations.ts'
import { unknownDistances } from '../../src/registry/coordinates.ts'
import { remember, type RegistryMemory } from '../../src/control/catalog.ts'
import { decide } from '../../src/control/decide.ts'
import { toAskKey } from '../../src/control/endpoints.ts'
import { learn, type Knowledge } from '../../src/control/knowledge.ts'
import { emptyMemory } from '../../src/control/plan.ts'
import { readEntry } from '../../src/registry/consul-entry.ts'
import { decideConfig, statesOf } from './support.ts'

const fixture = (name: string) => readFileSync(new URL(`../fixtures/recordings/${name}`, import.meta.url), 'utf8')
const lists = { Catalog: parseOperations(fixture('operations-catalog.json')), Orders: parseOperations(fixture('operations-orders.json')) }
interface Step { ms: number, event?: string, index?: number, body?: Array<{ Service: { ID: string, Address: string } }> }
const steps = fixture('consul-lifecycle.jsonl').trim().split('\n').map(line => JSON.parse(line) as Step)

/** Which id runs at which port from when to when, as the events say. */
const processes = [
  { port: 9101, id: 'ss-Catalog-bd9e5', from: 894, to: Infinity },
  { port: 9102, id: 'ss-Catalog-ee12a', from: 957, to: 45_033 },
  { port: 9102, id: 'ss-Catalog-bc41c', from: 60_550, to: Infinity },
  { port: 9201, id: 'ss-Orders-d19a6', from: 887, to: 100_038 }
]

/** GetProduct's and PlaceOrder's endpoints, and how each registration stands, after each step: the table of docs/LIFECYCLE.md. */
const expected = readFileSync(new URL('../../docs/LIFECYCLE.md', import.meta.url), 'utf8').split('\n').flatMap(line => {
  const [, ms, , getProduct, placeOrder, states] = line.split('|').map(cell => cell.trim())
  return /^\d+$/.test(ms ?? '') ? [[Number(ms), getProduct!, placeOrder!, states === '-' ? '' : states!] as const] : []
})

test('the recorded lifecycle, step by step', () => {
  const config = decideConfig({})
  const knowledge = new Map<string, Knowledge>()
  let registry: RegistryMemory | undefined
  let memory = emptyMemory
  const seen = new Map<number, readonly [string, string, string]>()
  for (const step of steps) {
    const ids = step.body?.map(entry => entry.Service.ID) ?? []
    if (step.body !== undefined) {
      const registrations = step.body.map(entry => readEntry(entry, { registry: 'consul', ownNode: 'vm', messageTagPrefix: undefined, messageMetaKey: 'messages', ignoreTags: [] } as unknown as Parameters<typeof readEntry>[1]))
        .flatMap(read => 'registration' in read ? [read.registration] : [])
      assert.equal(registrations.length, ids.length)
      registry = remember(registry, { registry: 'consul', registrations, index: step.index, reset: false }, step.ms)
    }
    if (registry === undefined) continue
    const entries = [...registry.entries.values()]
    // Every endpoint is asked at once, as its process would answer.
    for (const url of new Set(entries.map(entry => entry.registration.address!.url))) {
      const running = processes.find(({ port, from, to }) => url.endsWith(`:${port}`) && from <= step.ms && step.ms < to)
      const at = entries.filter(entry => entry.registration.address?.url === url)
      const own = running === undefined ? undefined : at.find(entry => entry.registration.id.startsWith(running.id))
      const service = own?.registration.service as 'Catalog' | 'Orders' | undefined
      const list = service === undefined ? undefined : lists[service]
      const answer = own === undefined || list === undefined
        ? { kind: 'silent', reached: false, reason: 'ECONNREFUSED' } as const
        : { kind: 'answered', ownId: own.registration.id, listed: { state: 'read', list }, servicestackVersion: '10.15', apiForm: true } as const
      knowledge.set(url, learn(knowledge.get(url), answer, toAskKey(at), step.ms))
    }
    const decision = decide({ entries, knowledge, distances: unknownDistances, config, memory, complete: true, now: step.ms })
    memory = decision.memory
    const place = (key: string) => {
      const message = decision.plan.messages.get(key)
      if (message === undefined) return '-'
      if (message.state !== 'routed') return message.state
      return (message.endpoints ?? decision.plan.upstreams.get(message.upstream)!.endpoints.map(({ url }) => url)).map(url => url.slice(-4)).join(',')
    }
    const states = Object.entries(statesOf(decision)).map(([id, state]) => `${/-([0-9a-f]{5})[0-9a-f]{3}-/.exec(id)?.[1]} ${state}`).sort().join(', ')
    seen.set(step.ms, [place('getproduct'), place('placeorder'), states])
    // Restricted in its list, in Consul all the same: never routed, at no time.
    assert.notEqual(decision.plan.messages.get('reindexproducts')?.state, 'routed')
    assert.equal(decision.plan.messages.get('team-catalog')?.state === 'routed', false)
  }
  assert.equal(expected.length, 15)
  for (const [ms, ...row] of expected) assert.deepEqual([ms, ...seen.get(ms) ?? []], [ms, ...row])
})
