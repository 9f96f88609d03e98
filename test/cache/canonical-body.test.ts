// Bodies that mean the same have one spelling; those that a host could read differently keep their own.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { canonicalBody } from '../../src/cache/canonical-body.ts'
import { randomFrom, type Random } from '../support/random-answers.ts'

const spelt = (json: string | Buffer) => {
  const canonical = canonicalBody(Buffer.from(json as string))
  return typeof canonical === 'string' ? Buffer.from(canonical, 'latin1').toString() : canonical.toString()
}

describe('a canonical body', () => {
  const rows: Array<[sent: string, canonical: string]> = [
    ['{ "b" : 1 ,\n\t"a" : [ 1 , "x , y" ] }', '{"a":[1,"x , y"],"b":1}'],
    ['{"b":{"d":1,"c":2},"a":null}', '{"a":null,"b":{"c":2,"d":1}}'],
    ['[2, 1, {"b":true,"a":false}]', '[2,1,{"a":false,"b":true}]'],
    ['{"n":1.0,"m":1e2,"o":-0}', '{"m":1e2,"n":1.0,"o":-0}'],
    ['{"ü":"ß","a":"\\" }"}', '{"a":"\\" }","ü":"ß"}'],
    ['{}', '{}'],
    ['[ ]', '[]']
  ]
  for (const [sent, canonical] of rows) test(sent, () => assert.equal(spelt(sent), canonical))

  const kept = ['{"b":1,"a":1,"B":2}', '{"b":1,"a":1,"a":2}', '{"b":1,"\\u0061":1}', '{"b":1,"__type":"T"}', '{"b":1,"$type":"T"}']
  for (const sent of kept) test(`in its own order: ${sent}`, () => assert.equal(spelt(sent), sent))

  const bytes = ['{"b":1,"a":}', '{"b": 1', '{"b": 1} x', '{b: 1}', '["a",]', '{"a": tru}', ' {"a": 1}', '"a"', '', 'a=1&b=2', '['.repeat(5_000) + ']'.repeat(5_000), `{"a": "${'x'.repeat(70_000)}"}`]
  for (const sent of bytes) test(`as the bytes it is: ${sent.slice(0, 20)}`, () => assert.deepEqual(canonicalBody(Buffer.from(sent)), Buffer.from(sent)))

  test('any JSON: the same however it is laid out, and read as it was', () => {
    for (let seed = 1; seed <= 2_000; seed++) {
      const random = randomFrom(seed)
      const value = anything(random, 3)
      const compact = spelt(JSON.stringify(value))
      assert.equal(spelt(JSON.stringify(value, undefined, 1 + Math.floor(random() * 4))), compact, `seed ${seed}`)
      assert.deepEqual(JSON.parse(compact), value, `seed ${seed}`)
    }
  })
})

function anything (random: Random, depth: number): unknown {
  const items = () => Array.from({ length: Math.floor(random() * 4) }, () => anything(random, depth - 1))
  if (depth > 0 && random() < 0.5) return random() < 0.5 ? items() : Object.fromEntries(items().map((item, at) => [`${'zyx "}'[at]}${at}`, item]))
  return [1.5, -2, 'a "b" \\', '{', true, null, ''][Math.floor(random() * 7)]
}
