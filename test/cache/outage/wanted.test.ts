// Which copies a configuration asks for, and which requests mean the same.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { meaningOf, wantedOf } from '../../../src/cache/outage/wanted.ts'
import { validate } from '../../../src/config/validator.ts'
import { toMatch } from '../../../src/lib/match-names.ts'

describe('what is wanted', () => {
  test('texts, properties and paths, once for each host', () => {
    const { config } = validate({
      messages: {
        GetOrder: { policy: { cache: { outage: { requests: ['Id=5&Lang=de', { Id: 7, Tags: ['a b', 'c'], Open: true }, '/xml/reply/GetOrder?Id=5', ''], hosts: ['https://A.example', 'http://b.example:81'] } } } },
        Plain: { policy: { cache: { outage: { requests: [{}] } } } }
      },
      prefixes: { '/legacy/*': { upstream: 'legacy', policy: { cache: { outage: { requests: ['/legacy/stations?x=1'] } } } } }
    })
    const targets = ['/json/reply/GetOrder?Id=5&Lang=de', '/json/reply/GetOrder?Id=7&Tags=a%20b%2Cc&Open=true', '/xml/reply/GetOrder?Id=5', '/json/reply/GetOrder']
    assert.deepEqual([...wantedOf(config).values()].map(({ key, host, target }) => [key, host, target]), [
      ...['https://a.example', 'http://b.example:81'].flatMap(host => targets.map(target => ['getorder', host, target])),
      ['plain', '', '/json/reply/Plain'],
      ['/legacy/*', '', '/legacy/stations?x=1']
    ])
  })

  test('nothing unasked', () => assert.equal(wantedOf(validate({ messages: { GetOrder: {} } }).config).size, 0))
})

describe('what means the same', () => {
  const path = '/json/reply/GetOrder'
  const same: ReadonlyArray<readonly [string, string]> = [
    [`${path}?Id=1&Lang=de`, `${path}?Lang=de&Id=1`],
    [`${path}?Id=1`, `${path}?id=%31&`],
    [`${path}?Name=a%20b`, `${path}?name=a+b`],
    [`${path}?Id=1`, `${path}?Id=1&utm_source=x`],
    [path, `${path}?`]
  ]
  for (const [a, b] of same) test(`${a} and ${b}`, () => assert.equal(meaningOf(a, toMatch(['utm_*']), true), meaningOf(b, toMatch(['utm_*']), true)))

  const other: ReadonlyArray<readonly [string, string]> = [
    [`${path}?Id=1`, `${path}?Id=2`],
    [`${path}?Id=1&Id=2`, `${path}?Id=2&Id=1`],
    [`${path}?a=b%26c=d`, `${path}?a=b&c=d`],
    [`${path}?a=`, `${path}?a`],
    [`${path}?Name=x`, `${path}?Name=X`],
    [`${path}?Id=1`, '/xml/reply/GetOrder?Id=1']
  ]
  for (const [a, b] of other) test(`not ${a} and ${b}`, () => assert.notEqual(meaningOf(a, undefined, true), meaningOf(b, undefined, true)))

  test('letter case of keys counts below a prefix', () => assert.notEqual(meaningOf('/x?Id=1', undefined, false), meaningOf('/x?id=1', undefined, false)))
})
