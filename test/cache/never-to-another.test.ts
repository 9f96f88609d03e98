// Whatever headers an origin sends: no answer that is marked private or no-store, or that belongs to one identity, is ever given to another.
// Seeded: a failure says its seed, and the same seed fails again.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import type { Entry } from '../../src/cache/entry.ts'
import { mayStandIn, mayStore, passesBy, reuse } from '../../src/cache/policy.ts'
import { guarded, headersAt } from '../../src/cache/guard.ts'
import { freshened } from '../../src/cache/freshen.ts'
import type { CacheRequest } from '../../src/cache/request.ts'
import { variantOf } from '../../src/cache/vary.ts'
import { without } from '../../src/exchange/headers.ts'
import { directives, joined, marked, people, pick, randomAnswer, randomCase, randomFrom, some, type Random } from '../support/random-answers.ts'
import { headOf, now, requestOf, rulesOf } from './support.ts'

const wishes = [[], [], ['Cache-Control: max-stale'], ['Cache-Control: stale-if-error=99999'], ['Cache-Control: only-if-cached'], ['Cache-Control: min-fresh=0']]
const rules = [rulesOf(), rulesOf({ heuristic: 'always' }), rulesOf({ lifetimes: { successMs: 60_000, redirectMs: 60_000, negativeMs: 60_000 } }), rulesOf({ stale: { whileRevalidateMs: 60_000, ifErrorMs: 60_000 } }), rulesOf({ mode: 'override', lifetimes: { successMs: 60_000 } }), rulesOf({ identity: { mode: 'perIdentity' } })]
const statuses = [200, 200, 200, 203, 204, 301, 404, 410, 500, 599]

/** Whether what is stored for one request could be given to the other: the same key, the same variant, and the policy lets it. */
function given (entry: Entry, from: CacheRequest, to: CacheRequest, own: (typeof rules)[number], afterMs: number): boolean {
  const keyOf = (request: CacheRequest) => `${request.keyParts}\n${own.config.identity.mode === 'perIdentity' ? request.identity : ''}`
  if (keyOf(from) !== keyOf(to) || variantOf(entry.terms.vary, from.headers) !== variantOf(entry.terms.vary, to.headers)) return false
  if (passesBy(to, own) !== undefined) return false
  return reuse(to, entry, now + afterMs, own).use === 'stored' || mayStandIn(to, entry, now + afterMs, own)
}

function each (seeds: number, check: (random: Random, seed: number) => void): void {
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      check(randomFrom(seed), seed)
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
}

describe('never to another', () => {
  for (const mark of ['private', 'no-store']) {
    test(`an answer marked ${mark}, in any spelling, among anything`, () => {
      let tried = 0
      each(20_000, random => {
        const own = pick(random, rules)
        // Whoever understands a status puts no-store aside (RFC 9111 section 5.2.2.3); private nobody does.
        const isMeant = (text: string) => mark === 'private' || !/must-understand/i.test(text)
        // Two that begin a quotation are one around what stands between them.
        const others = some(random, directives.filter(isMeant), 3).filter((text, i, all) => text !== 'foo="' || all.indexOf(text) === i)
        const said = joined(random, [...others, mark].sort(() => random() - 0.5))
        const field = pick(random, ['Cache-Control', 'cache-control', 'CACHE-CONTROL', 'CDN-Cache-Control'])
        const answer = randomAnswer(random).filter(isMeant)
        // Where it stands in the targeted field, no other line of that stands around it: lines are one text there.
        const lines = field === 'CDN-Cache-Control' ? answer.filter(line => !line.startsWith('CDN-')) : marked(answer, mark).filter(line => line !== `Cache-Control: ${mark}`)
        lines.push(`${field}: ${random() < 0.5 ? said : randomCase(random, said)}`)
        lines.sort(() => random() - 0.5)
        const decision = mayStore(requestOf({ rules: own, headers: pick(random, people) }), headOf(lines, { status: pick(random, statuses) }), own)
        assert.equal(decision.store, false, lines.join('\n'))
        tried++
      })
      assert.equal(tried, 20_000)
    })
  }

  test('an answer to one identity, unless the origin says it is for all', () => {
    let stored = 0
    each(40_000, random => {
      const own = pick(random, rules)
      const lines = randomAnswer(random)
      const from = requestOf({ rules: own, headers: pick(random, people.slice(1)), routeKind: pick(random, ['message', 'custom', 'prefix']) })
      const head = headOf(lines, { status: pick(random, statuses) })
      const decision = mayStore(from, head, own)
      if (!decision.store) return
      stored++
      const forAll = decision.terms.forIdentified
      // What "for all" may rest on, read by means of its own.
      const said = lines.filter(line => /^(?:cdn-)?cache-control:/i.test(line)).map(line => line.replaceAll(/"(?:[^"\\]|\\.)*("|$)/g, quoted => /^"[\d\\]+"$/.test(quoted) ? quoted.replaceAll(/["\\]/g, '') : '')).join()
      if (forAll) assert.match(said, /public|s-maxage=\d+/i, lines.join('\n'))
      for (const headers of people) {
        const to = requestOf({ rules: own, routeKind: from.routeKind, headers: [...headers, ...pick(random, wishes)] })
        if (to.identity === from.identity) continue
        if (given({ head, terms: decision.terms }, from, to, own, random() * 100_000)) assert.ok(forAll, `${lines.join('\n')}\nfrom ${from.identity}\nto ${to.identity}`)
      }
    })
    assert.ok(stored > 1_000, `${stored} stored: the test would say nothing`)
  })

  test('an answer to nobody in particular: to an identity only what is for all', () => {
    let checked = 0
    each(20_000, random => {
      const own = pick(random, rules)
      const from = requestOf({ rules: own })
      const lines = randomAnswer(random)
      const head = headOf(lines)
      const decision = mayStore(from, head, own)
      if (!decision.store || decision.terms.forIdentified) return
      for (const headers of people.slice(1)) {
        const to = requestOf({ rules: own, headers: [...headers, ...pick(random, wishes)] })
        assert.ok(!given({ head, terms: decision.terms }, from, to, own, random() * 100_000), lines.join('\n'))
        checked++
      }
    })
    assert.ok(checked > 1_000)
  })

  test('a cookie that an answer sets, or a field that it keeps to one, is not stored with it', () => {
    each(20_000, random => {
      const own = pick(random, rules)
      const lines = marked([...randomAnswer(random), 'Set-Cookie: ss-id=ann', 'X-Who: ann'], pick(random, ['private="X-Who"', 'private="X-Other, x-who"', 'private=x-who|x-other', 'private="X-Other|X-Who"', 'private="x-who;x-other"', 'private="X-Other" "X-Who"']))
      const head = headOf(lines)
      const decision = mayStore(requestOf({ rules: own }), head, own)
      if (!decision.store) return
      const kept = without(head.headers, decision.terms.omit).map(text => text.toLowerCase())
      assert.ok(!kept.includes('set-cookie') && !kept.includes('x-who'), lines.join('\n'))
    })
  })

  test('a 304 that marks its answer so ends its reuse', () => {
    each(10_000, random => {
      const own = pick(random, rules)
      const before = headOf(['ETag: "a"', 'Cache-Control: max-age=60'])
      const mark = randomCase(random, pick(random, ['private', 'no-store']))
      const after = freshened(before, headOf(['ETag: "a"', `Cache-Control: ${mark}, max-age=60`], { status: 304 }))
      assert.ok(after !== undefined && !mayStore(requestOf({ rules: own }), after, own).store)
    })
  })

  test('and nothing that leaves may be kept longer than the limit', () => {
    each(20_000, random => {
      const { guard } = rulesOf()
      const head = headOf(randomAnswer(random))
      const leaving = guarded(head, now, guard)
      for (const ageMs of [0, 5_000]) {
        const headers = headersAt(leaving, now, now + ageMs, guard, 'stored')
        for (let i = 0; i < headers.length; i += 2) {
          const name = headers[i]!.toLowerCase()
          const value = headers[i + 1]!
          if (name === 'expires') assert.ok(/^-?\d*$/.test(value) || Date.parse(value) <= now + ageMs + guard.maxClientMs, value)
          if (!name.endsWith('cache-control')) continue
          // There are readers who look for a name wherever it stands, quotes or not (nginx), and such who pass over white space (WebKit).
          for (const [, seconds] of value.replaceAll(/["\\\s]/g, '').matchAll(/(?:max-age|s-maxage|stale-while-revalidate|stale-if-error)=(\d+)/gi)) assert.ok(Number(seconds) * 1_000 <= guard.maxClientMs + ageMs, value)
        }
      }
    })
  })
})
