// Every case of test/conformance/cases through a whole gateway: written from the RFCs' text, each named by its clause.
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { cases as directives } from './cases/directives.ts'
import { cases as freshness } from './cases/freshness.ts'
import { cases as storing } from './cases/storing.ts'
import { cases as validation } from './cases/validation.ts'
import { cases as vary } from './cases/vary.ts'
import { startBench, type Bench } from './run-case.ts'

const settings = {
  /** The limits of the poisoning guard out of the way. */
  long: { guard: { maxClientMs: 2_147_483_648_000, maxStoredMs: 2_147_483_648_000 } },
  cookies: { setCookie: 'store' },
  'without cookies': { setCookie: 'strip' },
  'each their own': { identity: { mode: 'perIdentity' } },
  shared: { identity: { mode: 'shared' } },
  stale: { stale: { ifErrorMs: 60_000 } },
  'kept no longer than 100 seconds': { guard: { maxStoredMs: 100_000 } },
  'stale no longer than ten seconds': { stale: { maxMs: 10_000 } }
}

/** By a message route another answer is the right one. */
const differs: ReadonlyArray<readonly [why: string, name: RegExp]> = [
  ['no lifetime is guessed there unless told', /^4\.2\.2: \d+ without one: guessed from|^4\.2\.2: a guess is a tenth|^5\.2\.2\.9: 599 with public: guessed|Date stays as it came$/],
  ['HEAD is asked by a GET there', /^4: GET not from HEAD|^4\.3\.5: an answer to HEAD that (?:matches|does not)$/],
  ['what Vary does not name, and may shape the answer all the same, is part of the key there as it is written', /^4\.1: (?:what Vary does not name does not count on prefix routes|lines are combined|space does not count|(?:order|letter case) does not count in Accept-Language)$/]
]

describe('HTTP caching, through the whole gateway', { timeout: 120_000 }, () => {
  let bench: Bench
  before(async () => { bench = await startBench(settings) })
  after(async () => { await bench[Symbol.asyncDispose]() })
  for (const kind of ['prefix', 'message'] as const) {
    describe(`by a ${kind} route`, () => {
      for (const [name, cases] of Object.entries({ freshness, directives, storing, validation, vary })) {
        describe(name, () => {
          for (const each of cases) {
            const other = kind === 'message' ? differs.find(([, name]) => name.test(each.name)) : undefined
            if (other === undefined) test(each.name, async () => { await bench.run(each, kind) })
            else test(`${each.name}: not so, ${other[0]}`, async () => { await assert.rejects(bench.run(each, kind), assert.AssertionError) })
          }
        })
      }
    })
  }
})
