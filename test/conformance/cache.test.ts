// Every case of test/conformance/cases through a whole gateway: written from the RFCs' text, each named by its clause.
import { after, before, describe, test } from 'node:test'
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

describe('HTTP caching, through the whole gateway', { timeout: 120_000 }, () => {
  let bench: Bench
  before(async () => { bench = await startBench(settings) })
  after(async () => { await bench[Symbol.asyncDispose]() })
  for (const [name, cases] of Object.entries({ freshness, directives, storing, validation, vary })) {
    describe(name, () => {
      for (const each of cases) test(each.name, async () => { await bench.run(each) })
    })
  }
})
