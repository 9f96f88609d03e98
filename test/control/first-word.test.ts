// Whose first word a table waits for: hosts that postern.yaml sends calls to, where calls could be lost by not waiting.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FirstWord } from '../../src/control/first-word.ts'
import { emptyPlan, type Plan } from '../../src/control/plan.ts'
import type { UpstreamPlan } from '../../src/routing/plan.ts'

const url = 'http://10.0.0.1:9101'
const endpoint = { url, origin: url, basePath: '', weight: 1, version: undefined, node: undefined } as unknown as UpstreamPlan['endpoints'][number]
const withLegacy = (servicestack: boolean | undefined, endpoints: UpstreamPlan['endpoints']): Plan =>
  ({ ...emptyPlan, upstreams: new Map([['legacy', { name: 'legacy', endpoints, base: undefined, levels: [], apiForm: false, servicestack, lists: 'none' }]]) })
const config = { prefixes: { '/legacy/*': { upstream: 'legacy' } }, messages: {}, exposure: {} } as never
const next = withLegacy(undefined, [endpoint])

for (const [sentence, before, knows, waits] of [
  ['the first table waits', undefined, false, true],
  ['and no longer than until it has been asked', undefined, true, false],
  ['so does one where it takes the place of a host that is called', withLegacy(false, [endpoint]), false, true],
  ['none waits where nobody could be called before, as while a host name led nowhere', withLegacy(false, []), false, false],
  ['nor where the upstream is new', emptyPlan, false, false]
] as const) {
  test(`for a host that has not said what it is: ${sentence}`, () => {
    let now = 0
    const firstWord = new FirstWord(() => now)
    assert.equal(firstWord.mayGo(before, next, config, () => knows), !waits)
    now = 2_000
    assert.equal(firstWord.mayGo(before, next, config, () => knows), true)
  })
}
