// RFC 9111 section 4.1 (Vary) and 4.4 (invalidation).
import { answered, fresh } from '../kinds.ts'
import type { Case } from '../run-case.ts'

/** Answered once for the first lines with this Vary, then asked for by the second ones. */
const varies = (name: string, vary: string | readonly string[], first: readonly string[], second: readonly string[], from: 'stored' | 'origin'): Case => ({
  name,
  steps: [{ headers: first, ...answered([fresh, ...typeof vary === 'string' ? [`Vary: ${vary}`] : vary]) }, { headers: second, after: 2, from }]
})
const anything = ['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH']
/** Stored, written to, asked for. */
const written = (name: string, method: string, after: 'stored' | 'origin', write: { status?: number, headers?: readonly string[], suffix?: string } = {}): Case => ({
  name,
  steps: [
    answered([fresh]),
    { method, ...method === 'M-SEARCH' ? {} : { body: 'x' }, suffix: write.suffix ?? '', answer: { status: write.status ?? 200, headers: write.headers ?? [], body: '' }, from: 'origin', status: write.status ?? 200 },
    { after: 2, from: after, ...after === 'stored' ? { bodyIs: '{first}' } : {} }
  ]
})

export const cases: Case[] = [
  varies('4.1: a match', 'Foo', ['Foo: 1'], ['Foo: 1'], 'stored'),
  varies('4.1: no match', 'Foo', ['Foo: 1'], ['Foo: 2'], 'origin'),
  varies('4.1: absent from the stored request', 'Foo', [], ['Foo: 1'], 'origin'),
  varies('4.1: absent from this one', 'Foo', ['Foo: 1'], [], 'origin'),
  varies('4.1: absent from both', 'Foo', [], [], 'stored'),
  varies('4.1: names in another letter case', 'fOO', ['Foo: 1'], ['FOO: 1'], 'stored'),
  varies('4.1: two of two', 'Foo, Bar', ['Foo: 1', 'Bar: a'], ['Bar: a', 'Foo: 1'], 'stored'),
  varies('4.1: one of two', 'Foo, Bar', ['Foo: 1', 'Bar: a'], ['Foo: 1', 'Bar: b'], 'origin'),
  varies('4.1: one of two is absent', 'Foo, Bar', ['Foo: 1', 'Bar: a'], ['Foo: 1'], 'origin'),
  varies('4.1: three of three', 'Foo, Bar, Baz', ['Foo: 1', 'Bar: a', 'Baz: x'], ['Foo: 1', 'Bar: a', 'Baz: x'], 'stored'),
  varies('4.1: two of three', 'Foo, Bar, Baz', ['Foo: 1', 'Bar: a', 'Baz: x'], ['Foo: 1', 'Bar: a', 'Baz: y'], 'origin'),
  varies('4.1: Vary on several lines', ['Vary: Foo', 'Vary: Bar'], ['Foo: 1', 'Bar: a'], ['Foo: 1', 'Bar: b'], 'origin'),
  ...['*', '*, *', ', *', '*, Foo', 'Foo, *'].map(vary => varies(`4.1: Vary: ${vary}`, vary, ['Foo: 1'], ['Foo: 1'], 'origin')),
  varies('4.1: * on another line', ['Vary: Foo', 'Vary: *'], ['Foo: 1'], ['Foo: 1'], 'origin'),
  varies('4.1: what Vary does not name does not count on prefix routes', 'Foo', ['Foo: 1', 'Other: 1'], ['Foo: 1', 'Other: 2'], 'stored'),
  varies('4.1: lines are combined', 'Foo', ['Foo: 1', 'Foo: 2'], ['Foo: 1, 2'], 'stored'),
  varies('4.1: space does not count', 'Foo', ['Foo: 1,2'], ['Foo: 1 , 2'], 'stored'),
  varies('4.1: order counts in Accept-Language, for there are services that go by it', 'Accept-Language', ['Accept-Language: en, de'], ['Accept-Language: de, en'], 'origin'),
  varies('4.1: letter case does not count in Accept-Language', 'Accept-Language', ['Accept-Language: en, de'], ['Accept-Language: eN, De'], 'stored'),
  varies('4.1: encodings are kept apart', 'Accept-Encoding', ['Accept-Encoding: gzip'], ['Accept-Encoding: br'], 'origin'),
  varies('4.1: an encoded answer is not for a client that cannot read it', ['Content-Encoding: gzip'], ['Accept-Encoding: gzip'], [], 'origin'),
  {
    name: '4.1: variants are stored beside each other',
    steps: [
      { headers: ['Foo: 1'], ...answered([fresh, 'Vary: Foo'], { body: 'one' }) },
      { headers: ['Foo: 2'], ...answered([fresh, 'Vary: Foo'], { body: 'two' }) },
      { headers: ['Foo: 1'], from: 'stored', bodyIs: 'one' },
      { headers: ['Foo: 2'], from: 'stored', bodyIs: 'two' }
    ]
  },
  {
    name: '4: of several that suit, the newest',
    steps: [
      { headers: ['Foo: 1'], ...answered(['Cache-Control: max-age=60', 'Vary: Foo'], { body: 'old' }) },
      { headers: ['Foo: 1', 'Cache-Control: no-cache'], after: 2, ...answered([fresh, 'Vary: Foo'], { body: 'new' }) },
      { headers: ['Foo: 1'], from: 'stored', bodyIs: 'new' }
    ]
  },
  {
    name: '4.1: an answer without Vary among others that have it',
    steps: [
      { headers: ['Foo: 1'], ...answered([fresh, 'Vary: Foo'], { body: 'one' }) },
      { headers: ['Foo: 2'], ...answered([fresh], { body: 'two' }) },
      { headers: ['Foo: 1'], from: 'stored', bodyIs: 'one' },
      { headers: ['Foo: 2'], from: 'stored', bodyIs: 'two' },
      { headers: ['Foo: 3'], from: 'origin' }
    ]
  },
  ...anything.map(method => written(`4.4: ${method}`, method, 'origin')),
  ...anything.map(method => written(`4.4: a ${method} that failed`, method, 'stored', { status: 500 })),
  written('4.4: a redirect is no failure', 'POST', 'origin', { status: 303 }),
  ...['POST', 'PUT', 'DELETE', 'M-SEARCH'].flatMap(method => ['Location', 'Content-Location'].map(field => written(`4.4: ${method}, by ${field}`, method, 'origin', { suffix: '/other', headers: [`${field}: {base}`] }))),
  written('4.4: of another origin nothing', 'POST', 'stored', { suffix: '/other', headers: ['Location: http://other.test{base}'] }),
  {
    name: '4.4: the same URI, escaped without need (RFC 3986 section 6.2.2.2)',
    steps: [
      { suffix: '?a=x-1%2C', ...answered([fresh]) },
      { suffix: '?a=x-1%2C', from: 'stored' },
      { method: 'PUT', body: 'x', suffix: '?%61=%78%2d%31%2c', ...answered([], { body: '' }) },
      { suffix: '?a=x-1%2C', from: 'origin' }
    ]
  },
  {
    name: '4.4: another URI: what an escape keeps apart',
    steps: [
      { suffix: '?a=1%262', ...answered([fresh]) },
      { method: 'PUT', body: 'x', suffix: '?a=1&2', ...answered([], { body: '' }) },
      { method: 'PUT', body: 'x', suffix: '?a=1%25262', ...answered([], { body: '' }) },
      { suffix: '?a=1%262', from: 'stored', bodyIs: '{first}' }
    ]
  },
  written('4.4: OPTIONS is safe', 'OPTIONS', 'stored')
]
