// What stands in the second level: written and read back as it was, and refused when it is anything else.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import { compareIds, decodeValue, encodeFrame, encodePointer, isId, type Frame } from '../../../src/cache/second-level/frame.ts'

const frame: Frame = {
  key: 'Shop\nhttp://shop.test/json/reply/GetOrder?Id=1',
  variant: 'accept-language: de\n',
  vary: ['accept-language'],
  status: 200,
  reason: 'OK',
  headers: ['Content-Type', 'application/json', 'X-Name', 'J\u00fcrgen'],
  requestAtMs: 1_795_000_000_000,
  responseAtMs: 1_795_000_000_010,
  endpointUrl: 'http://10.0.0.1:80',
  mark: '1795000000000-3',
  writtenAtMs: 1_795_000_000_020,
  usefulMs: 60_000,
  body: Buffer.from([0, 1, 2, 127, 128, 255])
}
/** The frame with its checksum made right again: as somebody would who can write there. */
function resealed (value: Buffer): Buffer {
  value.writeUInt32BE(crc32(value.subarray(6)), 2)
  return value
}

describe('a value of the second level', () => {
  test('is read as it was written', () => {
    assert.deepEqual(decodeValue(encodeFrame(frame)), { answer: frame })
    assert.deepEqual(decodeValue(encodeFrame({ ...frame, body: Buffer.alloc(0) })), { answer: { ...frame, body: Buffer.alloc(0) } })
    assert.deepEqual(decodeValue(encodePointer({ vary: ['accept'] })), { pointer: { vary: ['accept'] } })
  })

  test('cut short at any byte is none, and neither is one with more behind it', () => {
    for (const whole of [encodeFrame(frame), encodePointer({ vary: ['accept'] })]) {
      for (let length = 0; length < whole.length; length++) assert.equal(decodeValue(whole.subarray(0, length)), undefined, `${length} bytes`)
      assert.equal(decodeValue(Buffer.concat([whole, Buffer.from('x')])), undefined)
    }
  })

  test('changed in any byte is none', () => {
    const whole = encodeFrame(frame)
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] = changed[at]! ^ 0x10
      assert.equal(decodeValue(changed), undefined, `byte ${at}`)
    }
  })

  const heads: Array<[name: string, head: object]> = [
    ['an informational status', { status: 103 }],
    ['a status that is no number', { status: '200' }],
    ['a header with a line break', { headers: ['X-A', 'b\r\nSet-Cookie: c'] }],
    ['a name without a value', { headers: ['X-A'] }],
    ['a reason with a line break', { reason: 'OK\n' }],
    ['headers that are no list', { headers: { a: 'b' } }],
    ['a time that is none', { writtenAtMs: null }],
    ['a mark that is no id', { mark: 'now' }],
    ['names that are no texts', { vary: [1] }]
  ]
  for (const [name, own] of heads) {
    test(`with a right checksum over ${name} is none`, () => {
      assert.equal(decodeValue(encodeFrame({ ...frame, ...own } as Frame)), undefined)
    })
  }

  test('of another version or kind, or with a head that is no JSON, is none', () => {
    const otherKind = encodeFrame(frame)
    otherKind[1] = 9
    assert.equal(decodeValue(otherKind), undefined)
    const noJson = encodeFrame(frame)
    noJson[14] = 0x21
    assert.equal(decodeValue(resealed(noJson)), undefined)
    for (const foreign of ['', 'hello', '{"a":1}', '\x01'.repeat(40)]) assert.equal(decodeValue(Buffer.from(foreign)), undefined)
  })
})

test('ids are compared as the server orders them', () => {
  const ordered = ['0-0', '9-0', '10-0', '10-2', '10-10', '1795000000000-0']
  for (const [i, a] of ordered.entries()) for (const [j, b] of ordered.entries()) assert.equal(Math.sign(compareIds(a, b)), Math.sign(i - j), `${a} ${b}`)
  for (const id of ['', '1', '1-', '-1', 'a-b', '1-2-3', '99999999999999999-0']) assert.equal(isId(id), false, id)
})
