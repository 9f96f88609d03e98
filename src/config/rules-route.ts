// Rules for upstreams, messages and prefixes.
import { formats } from '../lib/formats.ts'
import { nearestWord } from '../lib/edit-distance.ts'
import type { Config } from './schema.ts'
import { neverRouted } from './never-routed.ts'
import { found, foundKey, refuse, warn, type Rule } from './rule.ts'
import type { Finding } from './schema-errors.ts'

export const routeRules: readonly Rule[] = [
  refuse('prefix-pattern', function * ({ config }) {
    for (const pattern of Object.keys(config.prefixes)) {
      const wrong = prefixFault(pattern)
      if (wrong !== undefined) yield foundKey(['prefixes', pattern], wrong.message, wrong.hint)
    }
    for (const [pattern, { rewrite }] of Object.entries(config.prefixes)) {
      if (rewrite !== undefined && (/[?#%\\*]|\/\/|[\s\0]/.test(rewrite) || hasDotSegment(rewrite))) yield found(['prefixes', pattern, 'rewrite'], 'must be a plain path', 'For example /v1. What the * stood for is added to it.')
    }
  }),
  refuse('prefix-unique', ({ config }) => sameButForCase(Object.keys(config.prefixes), 'prefixes')),
  refuse('prefix-shadows-message', function * ({ config }) {
    for (const pattern of Object.keys(config.prefixes)) {
      const form = shadowedForm(pattern)
      if (form !== undefined) yield foundKey(['prefixes', pattern], `would stand before messages: ${form} is a message form`, 'Messages are routed by name. Use messages.<Name>.upstream for one that no registry lists.')
    }
  }),
  refuse('upstream-known', ({ config }) => unknownUpstreams(config)),
  refuse('message-name', function * ({ config }) {
    for (const name of Object.keys(config.messages)) {
      if (name === '' || /[\s/\\?#%+;[\]\0]/.test(name)) yield foundKey(['messages', name], 'is not a message name', 'The key is the bare name of the request DTO, for example PlaceOrder.')
    }
  }),
  refuse('message-unique', ({ config }) => sameButForCase(Object.keys(config.messages), 'messages')),
  refuse('exposure-pattern', function * ({ config }) {
    yield * badPatterns(config.exposure, ['exposure'])
    for (const [name, upstream] of Object.entries(config.upstreams)) yield * badPatterns(upstream, ['upstreams', name])
  }),
  refuse('endpoint-unique', function * ({ config }) {
    for (const [name, { endpoints = [] }] of Object.entries(config.upstreams)) {
      for (const [index, endpoint] of endpoints.entries()) {
        if (endpoints.findIndex(other => sameUrl(other, endpoint)) !== index) yield found(['upstreams', name, 'endpoints', String(index)], 'stands in the list twice')
      }
    }
  }),
  refuse('upstream-name', function * ({ config }) {
    // eslint-disable-next-line no-control-regex -- exactly those are refused
    for (const name of Object.keys(config.upstreams)) if (name.trim() === '' || name.length > 255 || /[\u0000-\u001f\u007f]/.test(name)) yield foundKey(['upstreams', name], 'is not a name', 'The key is the service\'s name as it registers.')
  }),
  warn('something-to-serve', function * ({ config: { registry, upstreams } }) {
    if (!hasRegistry(registry) && !Object.values(upstreams).some(upstream => upstream.endpoints !== undefined)) {
      yield found(['registry'], 'there is nothing to serve: no registry, and no upstream with endpoints', 'Write registry.consul, registry.embedded, registry.file, or upstreams.<name>.endpoints; or start with --consul URL.')
    }
  }),
  warn('message-never-routed', function * ({ config }) {
    for (const [name, { expose, upstream }] of Object.entries(config.messages)) {
      if (neverRouted.has(name.toLowerCase()) && (expose === true || upstream !== undefined)) yield foundKey(['messages', name], 'is a message of the host itself or of the discovery plugin: it is never routed, whatever is written here', 'Take it out.')
    }
  }),
  warn('tags-trusted', function * ({ config }) {
    for (const [name, { trustTags }] of Object.entries(config.upstreams)) if (trustTags) yield found(['upstreams', name, 'trustTags'], 'if this service publishes no list, its restricted messages can be called from outside', 'Hide them by name with hide.')
  })
]

const hasRegistry = (registry: Config['registry']) => registry.consul !== undefined || registry.embedded !== undefined || registry.file !== undefined
const hasDotSegment = (path: string) => path.split('/').some(segment => segment === '.' || segment === '..')
const sameUrl = (a: string, b: string) => new URL(a).href.replace(/\/$/, '') === new URL(b).href.replace(/\/$/, '')

function prefixFault (pattern: string): { message: string, hint: string } | undefined {
  if (!pattern.startsWith('/')) return { message: 'a prefix must begin with /', hint: `For example /${pattern.replace(/\/?\*?$/, '')}/*` }
  if (!pattern.endsWith('/*')) return { message: 'a prefix must end in /*', hint: `Write ${pattern.replace(/[/*]*$/, '')}/*` }
  const path = pattern.slice(0, -2)
  if (path.includes('*')) return { message: 'a prefix has one *, at its end', hint: 'There are no other wildcards.' }
  if (hasDotSegment(path) || path.includes('//')) return { message: 'a prefix has no empty and no dot segments', hint: 'Such requests are refused before routing.' }
  if (/[%\\?#;\s\0]/.test(path)) return { message: 'a prefix is a plain decoded path', hint: 'Requests are compared with it after decoding: write the characters themselves, without % ? # ; \\ or spaces.' }
  return undefined
}

/** The message form that a prefix stands in front of. Routing ignores letter case, so this does. `/*` is no such prefix: it gets what no message form claims. */
function shadowedForm (pattern: string): string | undefined {
  const [first, second] = pattern.toLowerCase().replace(/\/\*$/, '').split('/').slice(1)
  if (first === undefined || first === '') return undefined
  if (first === 'api') return '/api/{Message}'
  if (!formats.has(first)) return undefined
  if (second === undefined) return `/${first}/reply/{Message}`
  return second === 'reply' || second === 'oneway' ? `/{format}/${second}/{Message}` : undefined
}

function * unknownUpstreams ({ defaults, exposure: { fallback }, upstreams, messages, prefixes, registry }: Config): Generator<Finding> {
  // With a registry, any name may turn up there.
  if (hasRegistry(registry)) return
  const known = Object.keys(upstreams)
  const used = [
    ...fallback === undefined ? [] : [{ segments: ['exposure', 'fallback'], upstream: fallback }],
    ...Object.entries(prefixes).map(([key, { upstream }]) => ({ segments: ['prefixes', key, 'upstream'], upstream })),
    ...Object.entries(messages).flatMap(([key, { upstream }]) => upstream === undefined ? [] : [{ segments: ['messages', key, 'upstream'], upstream }]),
    ...[['defaults', defaults] as const, ...sectionsOf('upstreams', upstreams), ...sectionsOf('messages', messages), ...sectionsOf('prefixes', prefixes)].flatMap(([segment, { policy }]) =>
      [['mirror', 'to', policy?.mirror?.to], ['degraded', 'upstream', policy?.degraded?.upstream]].flatMap(([section, field, name]) =>
        name === undefined ? [] : [{ segments: [...[segment].flat(), 'policy', section!, field!], upstream: name }]))
  ]
  for (const { segments, upstream } of used) {
    if (Object.hasOwn(upstreams, upstream) && upstreams[upstream]?.endpoints !== undefined) continue
    const near = Object.hasOwn(upstreams, upstream) ? undefined : nearestWord(upstream, known)
    const message = Object.hasOwn(upstreams, upstream) ? `the upstream "${upstream}" has no endpoints, and there is no registry to name any` : `there is no upstream "${upstream}"`
    const hint = near === undefined ? `Write upstreams.${upstream}.endpoints, or configure a registry.` : `Did you mean ${near}?`
    yield found(segments, message, hint, [['upstreams', upstream], ['registry']])
  }
}

interface WithPolicy { readonly policy?: { readonly mirror?: { readonly to?: string }, readonly degraded?: { readonly upstream?: string } } }
const sectionsOf = (section: string, entries: Readonly<Record<string, WithPolicy>>) => Object.entries(entries).map(([key, value]) => [[section, key], value] as const)

function * sameButForCase (keys: readonly string[], section: string): Generator<Finding> {
  const seen = new Map<string, string>()
  for (const key of keys) {
    const before = seen.get(key.toLowerCase())
    if (before === undefined) seen.set(key.toLowerCase(), key)
    else yield foundKey([section, key], `is the same as "${before}": letter case does not count`, 'Merge them or remove one.')
  }
}

function * badPatterns (lists: { readonly expose?: readonly string[], readonly hide?: readonly string[], readonly exposeRestricted?: readonly string[] }, section: readonly string[]): Generator<Finding> {
  for (const name of ['expose', 'hide', 'exposeRestricted'] as const) {
    for (const [index, pattern] of (lists[name] ?? []).entries()) {
      if (!/^[\p{L}\p{N}_.*`-]+$/u.test(pattern)) yield found([...section, name, String(index)], 'is not a message name pattern', 'Write a name, with * for anything: Get*. Regular expressions are not known here.')
    }
  }
}
