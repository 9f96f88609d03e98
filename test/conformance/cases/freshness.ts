// RFC 9111 section 4.2 (freshness and age), and the fields it is told by: sections 5.1, 5.3.
import { fresh, notReused, reused, revalidated } from '../kinds.ts'
import type { Case } from '../run-case.ts'

/** Statuses and whether an answer may be reused by a guess (RFC 9110 section 15.1). */
const guessable = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]
const notGuessable = [201, 202, 302, 303, 307, 403, 500, 502, 503, 504, 599]
const explicit = [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 451, 500, 502, 503, 504, 599]

export const cases: Case[] = [
  reused('4.2: a lifetime of years: kept as long as the operator lets it', ['Cache-Control: max-age=315360000'], { after: 99, under: 'kept no longer than 100 seconds' }),
  notReused('4.2: a lifetime of years: and no longer', ['Cache-Control: max-age=315360000'], { after: 101, under: 'kept no longer than 100 seconds' }),
  reused('4.2.1: max-age: fresh', [fresh]),
  notReused('4.2: max-age: stale when its age is its lifetime', ['Cache-Control: max-age=2']),
  notReused('4.2.1: max-age=0', ['Cache-Control: max-age=0']),
  notReused('4.2.1: a negative max-age', ['Cache-Control: max-age=-3600']),
  notReused('4.2.1: a max-age with a fraction', ['Cache-Control: max-age=3600.5']),
  notReused('4.2.1: a max-age with letters before', ['Cache-Control: max-age=a3600']),
  notReused('4.2.1: a max-age with letters behind', ['Cache-Control: max-age=3600a']),
  notReused('4.2.1: a max-age in single quotes', ['Cache-Control: max-age=\'3600\'']),
  notReused('4.2.1: a max-age without a value', ['Cache-Control: max-age']),
  reused('1.2.2: a max-age with leading zeros', ['Cache-Control: max-age=003600']),
  ...['2147483647', '2147483648', '2147483649', '99999999999'].map(seconds => reused(`1.2.2: max-age=${seconds}`, [`Cache-Control: max-age=${seconds}`])),
  notReused('4.2.1: of two max-age the first: stale, fresh', ['Cache-Control: max-age=1, max-age=3600']),
  reused('4.2.1: of two max-age the first: fresh, stale', ['Cache-Control: max-age=3600, max-age=1']),
  notReused('4.2.1: of two lines the first: stale, fresh', ['Cache-Control: max-age=1', 'Cache-Control: max-age=3600']),
  reused('4.2.1: s-maxage', ['Cache-Control: s-maxage=3600']),
  notReused('5.2.2.10: a short s-maxage before a long max-age', ['Cache-Control: max-age=3600, s-maxage=1']),
  notReused('5.2.2.10: whatever the order', ['Cache-Control: s-maxage=1, max-age=3600']),
  notReused('5.2.2.10: on several lines', ['Cache-Control: max-age=3600', 'Cache-Control: s-maxage=1']),
  reused('5.2.2.10: a long s-maxage before max-age=0 and a past Expires', ['Cache-Control: max-age=0, s-maxage=3600', 'Expires: {-100}']),
  reused('5.3: a future Expires', ['Expires: {+3600}']),
  notReused('5.3: a past Expires', ['Expires: {-3600}']),
  notReused('5.3: an Expires of now', ['Expires: {+0}']),
  notReused('5.3: an Expires before Date, both fast', ['Expires: {+300}', 'Date: {+400}']),
  notReused('5.3: Expires: 0', ['Expires: 0']),
  notReused('5.3: Expires: -1', ['Expires: -1']),
  notReused('5.3: Expires: Never', ['Expires: Never']),
  reused('RFC 9110 6.6.1: Expires with a Date that is none', ['Expires: {+3600}', 'Date: yesterday']),
  reused('5.3: max-age before a past Expires', [fresh, 'Expires: {-3600}']),
  reused('5.3: max-age before an Expires that is none', [fresh, 'Expires: 0']),
  notReused('5.3: max-age=0 before a future Expires', ['Cache-Control: max-age=0', 'Expires: {+3600}']),
  notReused('4.2: an Expires with another zone than GMT', ['Expires: Fri, 31 Dec 2099 23:59:59 AEST']),
  reused('4.2: an Expires in another letter case', ['Expires: FRI, 31 dec 2099 23:59:59 gmt']),
  reused('RFC 9110 5.6.7: Expires by RFC 850', ['Expires: Tuesday, 31-Dec-69 23:59:59 GMT']),
  reused('RFC 9110 5.6.7: Expires by asctime', ['Expires: Thu Dec 31 23:59:59 2099']),
  notReused('5.3: an Expires with dashes', ['Expires: Thu, 31-Dec-2099 23:59:59 GMT']),
  notReused('5.3: an Expires without a comma', ['Expires: Thu 31 Dec 2099 23:59:59 GMT']),
  notReused('5.3: of two Expires the first', ['Expires: 0', 'Expires: {+3600}']),
  notReused('4.2.3: an Age above max-age', ['Cache-Control: max-age=3600', 'Age: 7200']),
  notReused('4.2.3: an Age above Expires less Date, with a slow Date', ['Expires: {+10}', 'Date: {-10}', 'Age: 25']),
  notReused('4.2.3: an Age above Expires less Date, with a fast Date', ['Expires: {+20}', 'Date: {+10}', 'Age: 15']),
  notReused('4.2.3: a Date longer ago than max-age', ['Cache-Control: max-age=3600', 'Date: {-7200}']),
  reused('5.1: an Age that is no number is passed over', [fresh, 'Age: abc']),
  reused('5.1: a negative Age is passed over', [fresh, 'Age: -7200']),
  reused('5.1: an Age with a fraction is passed over', [fresh, 'Age: 7200.0']),
  notReused('5.1: of two members of Age the first: old, 0', [fresh, 'Age: 7200, 0']),
  reused('5.1: of two members of Age the first: 0, old', [fresh, 'Age: 0, 7200']),
  notReused('5.1: of two lines of Age the first: old, 0', [fresh, 'Age: 7200', 'Age: 0']),
  reused('5.1: of two lines of Age the first: 0, old', [fresh, 'Age: 0', 'Age: 7200']),
  ...['2147483647', '2147483648', '2147483649'].map(seconds => notReused(`1.2.2: Age: ${seconds}`, [fresh, `Age: ${seconds}`])),
  { name: '4: Age is generated, and counts on', steps: [{ answer: { headers: [fresh] }, from: 'origin', misses: ['Age'] }, { after: 7, from: 'stored', sees: ['Age: 7'] }, { after: 5, from: 'stored', sees: ['Age: 12'] }] },
  { name: '4: Age replaces the one that came, and counts on from it', steps: [{ answer: { headers: [fresh, 'Age: 30'] }, from: 'origin' }, { after: 7, from: 'stored', sees: ['Age: 37'] }] },
  reused('RFC 9110 6.6.1: Date stays as it came', [fresh, 'Date: Fri, 27 Nov 2026 11:59:00 GMT'], { then: { sees: ['Date: Fri, 27 Nov 2026 11:59:00 GMT'] } }),
  {
    name: 'RFC 9110 6.6.1: what came without a Date has that of its arrival',
    steps: [{ answer: { headers: [fresh], dateless: true }, from: 'origin', sees: ['Date: {+0}'] }, { after: 7, from: 'stored', sees: ['Date: {-7}', 'Age: 7'] }]
  },
  {
    name: 'RFC 9110 6.6.1: so does a 304: it makes nothing older',
    steps: [{ answer: { headers: ['Cache-Control: max-age=5', 'ETag: "a"'] }, from: 'origin' }, { after: 7, from: 'validated', answer: { status: 304, dateless: true } }, { after: 3, from: 'stored', sees: ['Date: {-3}', 'Age: 3'] }]
  },
  ...explicit.map(status => reused(`3: ${status} with a lifetime: reused while fresh`, [fresh], { status })),
  ...explicit.map(status => notReused(`4.2: ${status} with a lifetime: not when stale`, ['Cache-Control: max-age=2'], { status })),
  ...guessable.map(status => reused(`4.2.2: ${status} without one: guessed from Last-Modified`, ['Last-Modified: {-100000}'], { status })),
  ...notGuessable.map(status => notReused(`4.2.2: ${status} without one: not guessed`, ['Last-Modified: {-100000}'], { status })),
  reused('5.2.2.9: 599 with public: guessed', ['Last-Modified: {-100000}', 'Cache-Control: public'], { status: 599 }),
  revalidated('4.2.2: a guess is a tenth at most', ['Last-Modified: {-100}'], { after: 11 }),
  revalidated('4.2.2: no guess where a lifetime is said', ['Last-Modified: {-100000}', 'Cache-Control: max-age=1']),
  notReused('3: nothing is said: not reused', []),
  notReused('3: an ETag says no lifetime', ['ETag: "a"'])
]
