import { test } from 'node:test'
import assert from 'node:assert/strict'
import { defaultDataDirectory } from '../../src/config/data-directory.ts'
import { parseConfig } from '../../src/config/parse.ts'

const home = '/home/ann'
const rows: ReadonlyArray<readonly [sentence: string, listen: string, env: Record<string, string>, expected: string | undefined]> = [
  ['the user\'s own, by port', '127.0.0.1:8080', {}, '/home/ann/.local/state/postern/8080'],
  ['another gateway has another', 'localhost:9090', {}, '/home/ann/.local/state/postern/9090'],
  ['at all addresses there is one for the port', '0.0.0.0:8080', {}, '/home/ann/.local/state/postern/8080'],
  ['of IPv6 too', '[::]:8080', {}, '/home/ann/.local/state/postern/8080'],
  ['at one of several there may be others beside it', '10.0.0.5:8080', {}, '/home/ann/.local/state/postern/8080-10.0.0.5'],
  ['so it is at the other loopback', '[::1]:8080', {}, '/home/ann/.local/state/postern/8080-__1'],
  ['a host name is one', 'Gateway.internal:8080', {}, '/home/ann/.local/state/postern/8080-gateway.internal'],
  ['where the user wants it', '127.0.0.1:8080', { XDG_STATE_HOME: '/state' }, '/state/postern/8080'],
  ['a relative one counts as none', '127.0.0.1:8080', { XDG_STATE_HOME: 'state' }, '/home/ann/.local/state/postern/8080'],
  ['systemd\'s wins, whatever the port', '127.0.0.1:0', { STATE_DIRECTORY: '/var/lib/postern', XDG_STATE_HOME: '/state' }, '/var/lib/postern'],
  ['the first of several', '127.0.0.1:8080', { STATE_DIRECTORY: '/var/lib/postern:/var/lib/other' }, '/var/lib/postern'],
  ['an empty one is none', '127.0.0.1:8080', { STATE_DIRECTORY: '', XDG_STATE_HOME: '' }, '/home/ann/.local/state/postern/8080'],
  ['a port of its own at each start has none', '127.0.0.1:0', {}, undefined]
]
for (const [sentence, listen, env, expected] of rows) test(sentence, () => assert.equal(defaultDataDirectory(listen, { env, home }), expected))

test('what is written wins, none is none, and the listener is the one that counts in the end', () => {
  const of = (text: string, surroundings: { env: Record<string, string>, home: string } | undefined = { env: {}, home }) =>
    parseConfig(text, { file: 'postern.yaml', directory: '/etc/postern', overrides: { listen: '127.0.0.1:8081' }, readSecret: () => '', surroundings }).config
  assert.equal(of('').dataDirectory, '/home/ann/.local/state/postern/8081')
  assert.equal(of('dataDirectory: kept').dataDirectory, '/etc/postern/kept')
  assert.equal(Object.hasOwn(of('dataDirectory: none'), 'dataDirectory'), false)
  assert.deepEqual(of('dataDirectory: none'), parseConfig('', { file: 'postern.yaml', directory: '/', overrides: { listen: '127.0.0.1:8081' }, readSecret: () => '' }).config)
})
