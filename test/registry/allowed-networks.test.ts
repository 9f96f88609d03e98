// Which addresses Postern may connect to: rows are sentences.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNetworkRules } from '../../src/registry/allowed-networks.ts'
import type { AddressFacts, OwnListener } from '../../src/registry/allowed-networks.ts'
import type { EndpointAddress } from '../../src/registry/registration.ts'

const byDefault = ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']
const everything = ['0.0.0.0/0', '::/0']
const ours: AddressFacts = { registry: 'consul', ownNode: true }
const theirs: AddressFacts = { registry: 'consul', ownNode: false }
const unknown: AddressFacts = { registry: 'consul' }
const at = (url: string): EndpointAddress => ({ url, origin: new URL(url).origin, basePath: '' })
const rules = (cidrs: string[] = byDefault, listeners: OwnListener[] = []) => createNetworkRules(cidrs, listeners, ['10.0.0.5', 'fd00::5'])

const table: Array<[sentence: string, url: string, facts: AddressFacts, expected: RegExp | undefined, cidrs?: string[]]> = [
  ['loopback from the agent\'s own node passes', 'http://127.0.0.1:8091', ours, undefined],
  ['localhost from the agent\'s own node passes, as in the plugin\'s samples', 'http://localhost:8091', ours, undefined],
  ['IPv6 loopback from the agent\'s own node passes', 'http://[::1]:8091', ours, undefined],
  ['loopback from another node is refused', 'http://127.0.0.1:8091', theirs, /not ours/],
  ['all of 127/8 is loopback', 'http://127.8.9.1:8091', theirs, /not ours/],
  ['localhost from another node is refused', 'http://localhost:8091', theirs, /localhost resolves to 127\.0\.0\.1.*not ours/],
  ['names below localhost are loopback', 'http://api.localhost:8091', theirs, /not ours/],
  ['loopback is refused while the agent\'s node is not known', 'http://127.0.0.1:8091', unknown, /not ours/],
  ['IPv4-mapped loopback is loopback', 'http://[::ffff:127.0.0.1]:8091', theirs, /not ours/],
  ['loopback in another notation is loopback', 'http://0x7f.1:8091', theirs, /not ours/],
  ['loopback in decimal is loopback', 'http://2130706433:8091', theirs, /not ours/],
  ['unspecified from another node is refused', 'http://0.0.0.0:8091', theirs, /not ours/],
  ['unspecified from the own node is loopback', 'http://0.0.0.0:8091', ours, undefined],
  ['IPv6 unspecified from another node is refused', 'http://[::]:8091', theirs, /not ours/],
  ['loopback that the operator wrote in a file passes', 'http://127.0.0.1:8091', { registry: 'file' }, undefined],
  ['loopback at the embedded registry passes', 'http://127.0.0.1:8091', { registry: 'embedded' }, undefined],
  ['loopback is refused where the operator does not list it', 'http://127.0.0.1:8091', ours, /none of registry.allowedNetworks/, ['10.0.0.0/8']],
  ['a private address passes from any node', 'http://10.1.2.3:80', theirs, undefined],
  ['172.31 is private', 'http://172.31.255.255', theirs, undefined],
  ['172.32 is not', 'http://172.32.0.0', theirs, /172\.32\.0\.0 is in none of/],
  ['a unique local IPv6 address passes', 'http://[fd12::1]:80', theirs, undefined],
  ['a public address is refused', 'http://93.184.216.34', theirs, /none of/],
  ['a public address passes where the operator lists it', 'http://93.184.216.34', theirs, undefined, ['93.184.216.0/24']],
  ['a single address may be listed without a prefix', 'http://93.184.216.34', theirs, undefined, ['93.184.216.34']],
  ['IPv4-mapped private is private', 'http://[::ffff:10.1.2.3]', theirs, undefined],
  ['NAT64 is judged by what it reaches', 'http://[64:ff9b::a9fe:a9fe]', theirs, /link-local/, everything],
  ['6to4 is judged by what it reaches', 'http://[2002:a9fe:a9fe::1]', theirs, /link-local/, everything],
  ['the metadata address is refused even where everything is allowed', 'http://169.254.169.254', ours, /link-local/, everything],
  ['the metadata address in another notation too', 'http://2852039166', ours, /link-local/, everything],
  ['the metadata address in mapped form too', 'http://[::ffff:169.254.169.254]', ours, /link-local/, everything],
  ['the IPv6 metadata address too, although it is unique local', 'http://[fd00:ec2::254]', ours, /metadata/, everything],
  ['IPv6 link-local is refused', 'http://[fe80::1]', ours, /link-local/, everything],
  ['multicast is refused', 'http://224.0.0.1', ours, /multicast/, everything],
  ['a public address that postern.yaml names passes, for its word is the operator\'s', 'http://93.184.216.34', { registry: 'config' }, undefined],
  ['loopback that postern.yaml names passes', 'http://127.0.0.1:8091', { registry: 'config' }, undefined, ['10.0.0.0/8']],
  ['the metadata address is refused to postern.yaml too', 'http://169.254.169.254', { registry: 'config' }, /link-local/, everything],
  ['another host name passes until it is resolved', 'http://orders.internal:80', theirs, undefined]
]
for (const [sentence, url, facts, expected, cidrs] of table) {
  test(`network: ${sentence}`, () => {
    const reason = rules(cidrs).check(at(url), facts)?.reason
    if (expected === undefined) assert.equal(reason, undefined)
    else assert.match(reason ?? 'allowed', expected)
  })
}

const own: Array<[sentence: string, url: string, listener: OwnListener, refused: boolean]> = [
  ['the same address and port', 'http://127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }, true],
  ['the same address by name', 'http://localhost:8080', { host: '127.0.0.1', port: 8080 }, true],
  ['another port', 'http://127.0.0.1:8081', { host: '127.0.0.1', port: 8080 }, false],
  ['loopback reaches a listener on all addresses', 'http://127.0.0.1:8080', { host: '0.0.0.0', port: 8080 }, true],
  ['an interface\'s address reaches a listener on all addresses', 'http://10.0.0.5:8080', { host: '0.0.0.0', port: 8080 }, true],
  ['an IPv6 interface\'s address reaches a listener on ::', 'http://[fd00::5]:8080', { host: '::', port: 8080 }, true],
  ['an IPv4 interface\'s address reaches a listener on ::', 'http://10.0.0.5:8080', { host: '::', port: 8080 }, true],
  ['another machine\'s address does not', 'http://10.0.0.6:8080', { host: '0.0.0.0', port: 8080 }, false],
  ['0.0.0.0 reaches a loopback listener', 'http://0.0.0.0:8080', { host: '127.0.0.1', port: 8080 }, true],
  ['a mapped form of the address', 'http://[::ffff:127.0.0.1]:8080', { host: '127.0.0.1', port: 8080 }, true],
  ['a default port', 'http://127.0.0.1', { host: '127.0.0.1', port: 80 }, true],
  ['another loopback address is another place', 'http://127.0.0.2:8080', { host: '127.0.0.1', port: 8080 }, false]
]
for (const [sentence, url, listener, refused] of own) {
  test(`own listener: ${sentence} ${refused ? 'is refused' : 'passes'}`, () => {
    const reason = rules(everything, [listener]).check(at(url), ours)?.reason
    if (refused) assert.match(reason ?? 'allowed', /Postern's own listener/)
    else assert.equal(reason, undefined)
  })
}

test('an IPv6 address beside a port stands in brackets', () => {
  for (const host of ['[::]', '[::1]', '127.0.0.1']) assert.equal(rules(everything, [{ host: '0.0.0.0', port: 8080 }]).check(at(`http://${host}:8080`), ours)?.reason, `${host}:8080 is Postern's own listener`)
})

test('a host name is judged by every address it resolves to', () => {
  const { resolved } = rules()
  assert.equal(resolved(at('http://orders:80'), ['10.0.0.7', 'fd00::7'], theirs), undefined)
  assert.match(resolved(at('http://orders:80'), ['10.0.0.7', '169.254.169.254'], theirs)!.reason, /orders resolves to 169\.254\.169\.254.*link-local/)
  assert.match(resolved(at('http://orders:80'), ['127.0.0.1'], theirs)!.reason, /not ours/)
  assert.match(resolved(at('http://orders:80'), [], theirs)!.reason, /nothing/)
})
test('a malformed network is an error that names it', () => {
  for (const cidr of ['10.0.0.0/33', 'x/8', '10.0.0.0/-1', '10.0.0.0/a', '::/129', '']) {
    assert.throws(() => createNetworkRules([cidr], []), (error: Error) => error instanceof RangeError && error.message.includes(cidr))
  }
})
