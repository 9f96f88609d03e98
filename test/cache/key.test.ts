// Which spellings of a URL a purge finds.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { targetIndex } from '../../src/cache/key.ts'

test('a URL is found in any letter case, and escaped without need (RFC 3986 section 6.2.2)', () => {
  const unreserved = 'azAZ09-._~'
  const escaped = [...unreserved].map(character => `%${character.charCodeAt(0).toString(16)}`).join('')
  const same: ReadonlyArray<readonly [string, string]> = [
    ['/legacy/x', '/legacy/%78'], ['/legacy/x', '/LEGACY/%58'], [`/${unreserved}`, `/${escaped}`], [`/${unreserved}`, `/${escaped.toUpperCase()}`], ['/a?b=%2F', '/a?%62=%2f']
  ]
  for (const [a, b] of same) assert.equal(targetIndex(a), targetIndex(b), b)
})

test('an escape that is needed makes another URL, and none is undone twice', () => {
  const other: ReadonlyArray<readonly [string, string]> = [['/a/b', '/a%2fb'], ['/a?b', '/a%3fb'], ['/a?b=1&c', '/a?b=1%26c'], ['/x', '/%2578'], ['/a b', '/a%20b'], ['/a', '/%c3%a1'], ['/%', '/%25'], ['/%7g', '/g']]
  for (const [a, b] of other) assert.notEqual(targetIndex(a), targetIndex(b), b)
})
