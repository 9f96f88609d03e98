// Rules for addresses, networks, TLS and who is believed.
import { Resolver } from 'node:dns'
import { isIP } from 'node:net'
import type { Config } from './schema.ts'
import { found, refuse, warn, type Rule } from './rule.ts'
import { secretExample } from './secrets.ts'
import type { Finding } from './schema-errors.ts'

export const listenRules: readonly Rule[] = [
  refuse('addresses-differ', function * ({ config }) {
    const seen = new Map<string, string>()
    for (const { segments, address } of addresses(config)) {
      if (address.endsWith(':0')) continue
      const before = seen.get(address)
      if (before !== undefined) yield found(segments, `${address} is taken by ${before}`, 'Give each listener a port of its own.')
      seen.set(address, segments.join('.'))
    }
  }),
  refuse('networks', function * ({ config }) {
    yield * badNetworks(config.registry.allowedNetworks, ['registry', 'allowedNetworks'])
    yield * badNetworks(config.edge.trustedProxies, ['edge', 'trustedProxies'])
  }),
  refuse('name-servers', function * ({ config }) {
    for (const [index, server] of config.registry.nameServers.entries()) {
      try {
        new Resolver().setServers([server])
      } catch {
        yield found(['registry', 'nameServers', String(index)], `must be an IP address, with or without a port (found ${JSON.stringify(server.slice(0, 60))})`, 'For example 10.0.0.53, 127.0.0.1:8600 or [fd00::53]:53')
      }
    }
  }),
  refuse('certificate-with-key', function * ({ config }) {
    const sections: Array<{ segments: readonly string[], tls: { certFile?: string, keyFile?: string } | undefined }> = [
      { segments: ['registry', 'consul', 'tls'], tls: config.registry.consul?.tls },
      ...Object.entries(config.upstreams).map(([name, { tls }]) => ({ segments: ['upstreams', name, 'tls'], tls }))
    ]
    for (const { segments, tls } of sections) {
      const [has, lacks] = tls?.certFile !== undefined ? ['certFile', 'keyFile'] as const : ['keyFile', 'certFile'] as const
      if (tls?.[has] !== undefined && tls[lacks] === undefined) yield found([...segments, has], `needs ${lacks} beside it`, undefined, [[...segments, lacks]])
    }
  }),
  refuse('certificate-hosts', function * ({ config }) {
    for (const [index, { hosts }] of (config.listener.tls?.certificates ?? []).entries()) {
      for (const [at, host] of hosts.entries()) {
        if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(host)) yield found(['listener', 'tls', 'certificates', String(index), 'hosts', String(at)], 'is not a host name', 'For example api.example.com or *.example.com, without port.')
      }
    }
  }),
  refuse('correlation-header', function * ({ config }) {
    // RFC 9110 section 5.6.2: a field name is a token.
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(config.edge.correlationHeader)) yield found(['edge', 'correlationHeader'], 'is not a header name')
  }),
  warn('verification-off', function * ({ config }) {
    for (const [name, { tls }] of Object.entries(config.upstreams)) if (tls?.verify === false) yield found(['upstreams', name, 'tls', 'verify'], 'certificates of this upstream are not verified: anybody on the way can read and change its calls', 'Name its authority with caFile.')
  }),
  warn('token-in-file', function * ({ config, isSecret }) {
    const segments = ['registry', 'consul', 'token']
    if (config.registry.consul?.token !== undefined && !isSecret(segments)) yield found(segments, 'the token stands in the file itself', `Write ${secretExample}.`)
  }),
  warn('fallback-forgets', function * ({ config }) {
    if (config.exposure.fallback !== undefined && config.dataDirectory === undefined) yield found(['exposure', 'fallback'], 'after a restart, names of services that have vanished are not known any more and go to the fallback', 'Set dataDirectory, where they are remembered.')
  }),
  warn('admin-open', function * ({ config }) {
    const host = hostOf(config.admin.address)
    if (host !== 'localhost' && host !== '::1' && !host.startsWith('127.')) yield found(['admin', 'address'], 'the admin listener has no login and can be reached from other machines', 'Bind it to 127.0.0.1; admin.probesAddress serves probes alone.')
  }),
  warn('everybody-trusted', function * ({ config }) {
    for (const [index, network] of config.edge.trustedProxies.entries()) if (network.endsWith('/0')) yield found(['edge', 'trustedProxies', String(index)], 'everybody counts as a trusted proxy: clients choose their own address', 'Name the proxies in front of Postern only.')
    if (config.edge.debugKeys === 'allow') yield found(['edge', 'debugKeys'], 'anybody may send authsecret, debug and simulate', 'authsecret makes its sender an administrator on hosts that have one.')
  })
]

function hostOf (address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '')
}

function * addresses ({ listener, admin, registry }: Config): Generator<{ segments: readonly string[], address: string }> {
  yield { segments: ['listener', 'address'], address: listener.address }
  if (listener.tls?.redirectFrom !== undefined) yield { segments: ['listener', 'tls', 'redirectFrom'], address: listener.tls.redirectFrom }
  yield { segments: ['admin', 'address'], address: admin.address }
  if (admin.probesAddress !== undefined) yield { segments: ['admin', 'probesAddress'], address: admin.probesAddress }
  if (registry.embedded !== undefined) yield { segments: ['registry', 'embedded', 'address'], address: registry.embedded.address }
}

function * badNetworks (networks: readonly string[], section: readonly string[]): Generator<Finding> {
  for (const [index, network] of networks.entries()) {
    const [ip = '', bits, ...more] = network.split('/')
    const family = isIP(ip)
    const isNetwork = family !== 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))
    if (!isNetwork) yield found([...section, String(index)], `must be an IP address or a network (found ${JSON.stringify(network.slice(0, 60))})`, 'For example 10.0.0.0/8, 192.0.2.7 or fc00::/7')
  }
}
