// Which message a request target names, and which spellings are refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import { absoluteAuthority, messageCandidates, parseRequestTarget } from '../../src/routing/request-target.ts'
import { formats } from '../../src/routing/table.ts'
import { recordedPaths } from '../support/recordings.ts'

/** `form format name[]`, `other path`, or the reason of the refusal. */
function read (target: string): string {
  try {
    const parsed = parseRequestTarget(target, formats)
    if (parsed.kind === 'other') return `other ${parsed.decodedPath}`
    return `${parsed.form} ${parsed.format} ${parsed.name}${parsed.batch ? '[]' : ''}`
  } catch (error) {
    assert.ok(error instanceof GatewayError && error.code === 'BadRequestTarget', String(error))
    return `refused: ${String(error.detail?.['reason'])}`
  }
}

const cases: ReadonlyArray<readonly [target: string, expected: string]> = [
  ['/json/reply/GetProduct', 'reply json GetProduct'],
  ['/json/reply/GetProduct?Id=1', 'reply json GetProduct'],
  ['/JSON/Reply/GetProduct', 'reply json GetProduct'],
  ['/json/ONEWAY/GetProduct', 'oneway json GetProduct'],
  ['//json/reply/GetProduct', 'reply json GetProduct'],
  ['///json/reply/GetProduct', 'other ///json/reply/GetProduct'],
  ['/x-msgpack/reply/GetProduct', 'reply x-msgpack GetProduct'],
  ['/nonsense/reply/GetProduct', 'other /nonsense/reply/GetProduct'],
  ['/Forum/Reply/4%32/edit', 'other /Forum/Reply/42/edit'],
  ['/json%20/reply/GetProduct', 'other /json /reply/GetProduct'],
  ['/json/reply/Get%50roduct', 'reply json GetProduct'],
  ['/%6Ason/%72eply/GetProduct', 'reply json GetProduct'],
  ['/json/reply/Outer.Inner', 'reply json Outer.Inner'],
  ['/json/reply/GetProduct[]', 'reply json GetProduct[]'],
  ['/json/reply/GetProduct%5B%5D', 'reply json GetProduct[]'],
  ['/json/reply/GetProduct%5b]/', 'reply json GetProduct[]'],
  ['/json/reply/GetProduct/', 'reply json GetProduct'],
  ['/json/reply/', 'other /json/reply/'],
  ['/json/reply', 'other /json/reply'],
  ['/api/GetProduct', 'api json GetProduct'],
  ['/api/GetProduct.xml', 'api xml GetProduct'],
  ['/api/GetProduct.XML', 'api xml GetProduct'],
  ['/api/GetProduct.nonsense', 'api nonsense GetProduct'],
  ['/api/GetProduct[]', 'api json GetProduct[]'],
  ['/api/GetProduct.json[]', 'api json GetProduct[]'],
  ['/Api/GetProduct/', 'api json GetProduct'],
  ['//api/GetProduct', 'api json GetProduct'],
  ['/api', 'other /api'],
  ['/api/', 'other /api/'],
  ['/', 'other /'],
  ['*', 'other *'],
  ['/legacy/a%20b', 'other /legacy/a b'],
  ['/legacy/%C3%BC', 'other /legacy/ü'],
  ['/legacy/a+b;c', 'other /legacy/a+b;c'],
  ['/legacy/%252e%252e/x', 'refused: escape'],
  ['/legacy/%252Fx', 'refused: escape'],
  ['/legacy/100%25', 'other /legacy/100%'],
  ['http://other.test:81/json/reply/GetProduct?a', 'reply json GetProduct'],
  ['HTTPS://other.test', 'other /'],
  ['other.test:443', 'refused: form'],
  ['', 'refused: form'],
  ['/json/reply/GetProduct/x', 'refused: after message'],
  ['/json/reply/GetProduct//', 'refused: after message'],
  ['/json/reply//GetProduct', 'refused: after message'],
  ['/api/x/GetProduct', 'refused: after message'],
  ['/api//GetProduct', 'refused: after message'],
  ['/api/GetProduct.xml.json', 'refused: message'],
  ['/api/.json', 'refused: message'],
  ['/api/GetProduct.', 'refused: message'],
  ['/json/reply/[]', 'refused: message'],
  ['/json/reply/GetProduct[]x', 'refused: message'],
  ['/json/reply/GetProduct[', 'refused: message'],
  ['/json/reply/GetProduct[][]', 'refused: message'],
  ['/json/reply/GetProduct+', 'refused: message'],
  ['/json/reply/GetProduct%2B', 'refused: message'],
  ['/json/reply/GetProduct;a=b', 'refused: message'],
  ['/json/reply/GetProduct%3b', 'refused: message'],
  ['/json/reply/GetProduct%0a', 'refused: message'],
  ['/json/reply/GetProduct%00', 'refused: escape'],
  ['/json/reply/GetProduct%', 'refused: escape'],
  ['/json/reply/GetProduct%2', 'refused: escape'],
  ['/json/reply/GetProduct%zz', 'refused: escape'],
  ['/json/reply/GetProduct%c0%af', 'refused: escape'],
  ['/json/reply/GetProduct%2fx', 'refused: escape'],
  ['/json/reply/GetProduct%5cx', 'refused: escape'],
  ['/legacy/%2f', 'refused: escape'],
  ['/legacy/..', 'refused: dot segment'],
  ['/legacy/%2E./x', 'refused: dot segment'],
  ['/legacy/./x', 'refused: dot segment'],
  ['/legacy/..;x/y', 'refused: dot segment'],
  ['/json\\reply\\GetProduct', 'refused: character'],
  ['/json/reply/GetProduct#x', 'refused: character'],
  ['/json/reply/Gét', 'refused: character']
]
for (const [target, expected] of cases) test(`${JSON.stringify(target)} is ${expected}`, () => assert.equal(read(target), expected))

test('what goes upstream is what came, byte for byte; the api form without its trailing slash and in lower case', () => {
  for (const target of ['/json/reply/Get%50roduct/?a=%2f&b', '//JSON/reply/X[]?', '/legacy/a%20b;c/?..', '/legacy']) {
    const { path, query } = parseRequestTarget(target, formats)
    assert.equal(path + query, target)
  }
  const { path, query } = parseRequestTarget('//API/Get%50roduct.Xml/?a=1', formats)
  assert.equal(path + query, '/api/Get%50roduct.Xml?a=1')
})

test('every recorded path to the hidden SlowReport is refused or read as a message; none is another path that a host would read as it', () => {
  for (const { target } of recordedPaths('10.1.5')) {
    if (!/slow|%53low/i.test(target)) continue
    const reading = read(target)
    // The one path that hosts do not answer either.
    if (reading.startsWith('other')) assert.equal(target, '/json//reply/SlowReport')
  }
})

test('the authority of an absolute target is known', () => {
  assert.equal(absoluteAuthority('http://other.test:81/x'), 'other.test:81')
  assert.equal(absoluteAuthority('/x'), undefined)
})

const candidates: ReadonlyArray<readonly [path: string, names: string[]]> = [
  ['/json/reply/Hidden', ['hidden']],
  ['//json/reply/Hidden', ['hidden']],
  ['///Json//Reply/Hidden', ['hidden']],
  ['/json/oneway/Hidden[]x', ['hidden']],
  ['/json/reply/Hidden/more', ['hidden']],
  ['/below/json/reply/Hidden', ['hidden']],
  ['/api/Hidden', ['hidden']],
  ['/api/x/Hidden.json', ['hidden']],
  ['/below/api/Hidden[]', ['hidden']],
  ['/api', ['']],
  ['/api/', ['']],
  ['/api/x/', ['']],
  ['/json/reply/api/Hidden', ['api', 'hidden']],
  ['/discovery/services', ['getservices']],
  ['/Discovery//Services/Hidden', ['getservices']],
  ['/below/discovery/registration.json', ['getservices']],
  ['/discovery/report', []],
  ['/registration', []],
  ['/products/5', []],
  ['/reply/x', []]
]
for (const [path, names] of candidates) test(`a host could read ${path} as ${JSON.stringify(names)}`, () => assert.deepEqual(messageCandidates(path).map(({ key }) => key), names))
