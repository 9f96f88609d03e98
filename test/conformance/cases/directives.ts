// RFC 9111 section 5.2 (Cache-Control), 5.4 (Pragma); RFC 8246 (immutable); RFC 9213 (CDN-Cache-Control).
import { fresh, notReused, reused, revalidated } from '../kinds.ts'
import type { Case, Step } from '../run-case.ts'

/** A stored answer, asked for by a client with these words. */
const asked = (name: string, stored: readonly string[], words: string, after: number, then: Partial<Step> & Pick<Step, 'from'>): Case => ({
  name,
  steps: [{ answer: { headers: stored }, from: 'origin' }, { headers: [words.includes(':') ? words : `Cache-Control: ${words}`], after, ...then }]
})
const validated = { from: 'validated' } as const
const stored = { from: 'stored' } as const
const tagged = [fresh, 'ETag: "a"']
const stale = ['Cache-Control: max-age=10', 'ETag: "a"']

export const cases: Case[] = [
  // Grammar.
  reused('5.2: directive names in any letter case', ['Cache-Control: MaX-aGe=3600']),
  reused('5.2: the quoted form of an argument', ['Cache-Control: max-age="3600"']),
  reused('5.2.3: unknown directives are passed over', ['Cache-Control: foobar, foo="bar, no-store", max-age=3600']),
  notReused('5.2: a directive within a quoted string is none, before', ['Cache-Control: extension="max-age=3600", max-age=1']),
  notReused('5.2: a directive within a quoted string is none, behind', ['Cache-Control: max-age=1, extension="max-age=3600"']),
  notReused('5.2: both quoted', ['Cache-Control: extension="max-age=3600", max-age="1"']),
  notReused('5.2: space before =', ['Cache-Control: max-age =3600']),
  notReused('5.2: space after =', ['Cache-Control: max-age= 3600']),
  // Answers.
  notReused('5.2.2.5: no-store', ['Cache-Control: no-store']),
  notReused('5.2.2.5: nO-StOrE', ['Cache-Control: nO-StOrE, max-age=3600']),
  notReused('5.2.2.5: no-store before max-age and Expires', ['Cache-Control: max-age=3600, no-store', 'Expires: {+3600}']),
  notReused('5.2.2.5: no-store on a line of its own', [fresh, 'Cache-Control: no-store']),
  notReused('5.2.2.7: private', ['Cache-Control: private, max-age=3600']),
  notReused('5.2.2.7: Private before public and s-maxage', ['Cache-Control: public, s-maxage=3600, Private']),
  reused('5.2.2.7: private of fields: stored without them', ['Cache-Control: private="X-Who, x-when", max-age=3600', 'X-Who: ann', 'X-When: now', 'X-What: 1'], { sees: ['X-Who: ann'], then: { sees: ['X-What: 1'], misses: ['X-Who', 'X-When'] } }),
  notReused('5.2.2.4: no-cache without a validator', ['Cache-Control: no-cache, max-age=3600', 'Expires: {+3600}']),
  revalidated('5.2.2.4: No-CaChE with a validator', ['Cache-Control: No-CaChE', 'ETag: "a"']),
  revalidated('5.2.2.4: no-cache before max-age', ['Cache-Control: max-age=3600, no-cache', 'ETag: "a"']),
  reused('5.2.2.4: no-cache of fields: given out without them', ['Cache-Control: no-cache="A, b", max-age=3600', 'A: 1', 'B: 2', 'C: 3'], { sees: ['A: 1', 'B: 2'], then: { sees: ['C: 3'], misses: ['A', 'B'] } }),
  reused('5.2.2.2: must-revalidate and fresh', ['Cache-Control: max-age=3600, must-revalidate', 'ETag: "a"']),
  revalidated('5.2.2.2: must-revalidate and stale', ['Cache-Control: max-age=1, must-revalidate', 'ETag: "a"']),
  notReused('5.2.2.3: must-understand and a status that is not understood', ['Cache-Control: max-age=3600, must-understand'], { status: 599 }),
  reused('5.2.2.3: must-understand puts no-store aside where the status is understood', ['Cache-Control: max-age=3600, must-understand, no-store']),
  reused('5.2.2.6: no-transform: the bytes are what they were', ['Cache-Control: max-age=3600, no-transform']),
  reused('5.2: what is said to others passes on', ['Cache-Control: max-age=3600, foo="bar", no-transform'], { then: { sees: ['Cache-Control: max-age=3600, foo="bar", no-transform'] } }),
  reused('5.4: Pragma on an answer says nothing', [fresh, 'Pragma: no-cache']),
  // Requests.
  asked('5.2.1.1: max-age=0 and an answer with some age', tagged, 'max-age=0', 2, validated),
  asked('5.2.1.1: max-age below its age', tagged, 'max-age=5', 10, validated),
  asked('5.2.1.1: max-age above its age', tagged, 'max-age=15', 10, stored),
  asked('5.2.1.1: max-age below the Age it came with', [...tagged, 'Age: 1800'], 'max-age=600', 2, validated),
  asked('5.2.1.2: max-stale', stale, 'max-stale=1000', 100, { ...stored, sees: ['Age: 100'] }),
  asked('5.2.1.2: max-stale without a value', stale, 'max-stale', 80_000, stored),
  { ...asked('5.2.1.2: max-stale without a value, beyond what the operator believes', stale, 'max-stale', 21, validated), under: 'stale no longer than ten seconds' },
  asked('5.2.1.2: beyond max-stale', stale, 'max-stale=50', 100, validated),
  asked('5.2.2.2: max-stale against must-revalidate', ['Cache-Control: max-age=10, must-revalidate', 'ETag: "a"'], 'max-stale=1000', 100, validated),
  asked('5.2.2.8: max-stale against proxy-revalidate', ['Cache-Control: max-age=10, proxy-revalidate', 'ETag: "a"'], 'max-stale=1000', 100, validated),
  asked('5.2.2.10: max-stale against s-maxage', ['Cache-Control: s-maxage=10', 'ETag: "a"'], 'max-stale=1000', 100, validated),
  asked('5.2.1.3: min-fresh that is not met', tagged, 'min-fresh=3599', 2, validated),
  asked('5.2.1.3: min-fresh that is met', tagged, 'min-fresh=3000', 2, stored),
  asked('5.2.1.3: min-fresh and the Age it came with', [...tagged, 'Age: 1800'], 'min-fresh=2000', 2, validated),
  asked('5.2.1.4: no-cache', tagged, 'no-cache', 2, validated),
  asked('5.2.1.4: no-cache where there is nothing to validate by', [fresh], 'no-cache', 2, { from: 'origin' }),
  asked('5.4: Pragma: no-cache', tagged, 'Pragma: no-cache', 2, validated),
  asked('5.4: another Pragma', tagged, 'Pragma: foo', 2, stored),
  { name: '5.2.1.5: no-store: the answer to it is not stored', steps: [{ headers: ['Cache-Control: no-store'], answer: { headers: [fresh] }, from: 'origin' }, { from: 'origin' }] },
  asked('5.2.1.5: no-store says nothing of what is stored already', tagged, 'no-store', 2, stored),
  asked('5.2.1.7: only-if-cached and fresh', tagged, 'only-if-cached', 2, stored),
  asked('5.2.1.7: only-if-cached and stale', stale, 'only-if-cached', 100, { ...stored, status: 504 }),
  { name: '5.2.1.7: only-if-cached and nothing stored', steps: [{ headers: ['Cache-Control: only-if-cached'], from: 'stored', status: 504 }] },
  asked('RFC 8246 2: a reload of what is immutable and fresh', ['Cache-Control: max-age=3600, immutable', 'ETag: "a"'], 'max-age=0', 2, stored),
  asked('RFC 8246 2: no-cache is a reason all the same', ['Cache-Control: max-age=3600, immutable', 'ETag: "a"'], 'no-cache', 2, validated),
  asked('RFC 8246 2: immutable and stale', ['Cache-Control: max-age=10, immutable', 'ETag: "a"'], 'max-age=0', 100, validated),
  // Targeted.
  reused('RFC 9213 2.2: CDN-Cache-Control: max-age', ['CDN-Cache-Control: max-age=3600']),
  reused('RFC 9213 2.2: beyond 2^31', ['CDN-Cache-Control: max-age=99999999999']),
  notReused('RFC 9213 2.2: max-age=0', ['CDN-Cache-Control: max-age=0', 'Expires: {+3600}']),
  notReused('RFC 9213 2.2: below Age', ['CDN-Cache-Control: max-age=3600', 'Age: 7200']),
  reused('RFC 9213 2.2: longer than Cache-Control', ['CDN-Cache-Control: max-age=3600', 'Cache-Control: max-age=1']),
  notReused('RFC 9213 2.2: shorter than Cache-Control', ['CDN-Cache-Control: max-age=1', fresh]),
  reused('RFC 9213 2.2: before a past Expires', ['CDN-Cache-Control: max-age=3600', 'Expires: {-3600}']),
  reused('RFC 9213 2.2: beside an unknown directive', ['CDN-Cache-Control: foobar, max-age=3600']),
  notReused('RFC 9213 2.2: private', ['CDN-Cache-Control: private', 'Cache-Control: max-age=10000', 'Expires: {+10000}']),
  notReused('RFC 9213 2.2: no-cache', ['CDN-Cache-Control: no-cache', 'Cache-Control: max-age=10000', 'Expires: {+10000}']),
  notReused('RFC 9213 2.2: no-store', ['CDN-Cache-Control: no-store', 'Cache-Control: max-age=10000', 'Expires: {+10000}']),
  reused('RFC 9213 2.2: before Cache-Control: no-store', ['CDN-Cache-Control: max-age=10000', 'Cache-Control: no-store']),
  notReused('RFC 9213 2.1: what is no dictionary is not there', ['CDN-Cache-Control: max-age=10000, &&&&&', 'Cache-Control: no-store']),
  notReused('RFC 9213 2.1: a value of another type', ['CDN-Cache-Control: max-age="10000"', 'Cache-Control: no-store']),
  notReused('RFC 9213 2.1: space before =', ['CDN-Cache-Control: max-age =3600', 'Cache-Control: max-age=1']),
  notReused('RFC 9213 2.1: space after =', ['CDN-Cache-Control: max-age= 3600', 'Cache-Control: max-age=1']),
  reused('RFC 9213 3.1: the field, Age, Date and Expires pass on', ['CDN-Cache-Control: max-age=3600', 'Cache-Control: max-age=1', 'Expires: {+1}'], { then: { sees: ['CDN-Cache-Control: max-age=3600', 'Age: 2', 'Expires: {-1}'] } })
]
