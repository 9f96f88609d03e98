// Rules for caching: names that no header can have, and methods that nothing makes reusable.
import { policyFor } from './resolve.ts'
import { found, refuse, warn, type Rule } from './rule.ts'
import type { Config, PolicyConfig } from './schema.ts'

export const cacheRules: readonly Rule[] = [
  refuse('cache-header-names', function * ({ config }) {
    for (const { segments, cache } of caches(config)) {
      for (const { path, names } of headerNames(cache)) {
        for (const [index, name] of names.entries()) {
          if (!token.test(name)) yield found([...segments, ...path, String(index)], `is no name of a header (found ${JSON.stringify(name)})`, 'Names have letters, digits and dashes, and no spaces.')
        }
      }
    }
  }),
  // A marker may say that it is safe, so it is no error; POST alone never says it.
  warn('cache-methods-of-safe-messages', function * ({ config }) {
    const mayBeSafe = Object.values(config.upstreams).some(({ policy }) => policy?.effect === 'safe')
    for (const [name, { policy, upstream }] of Object.entries(config.messages)) {
      if (policy?.cache?.methods?.includes('POST') !== true || (upstream === undefined && mayBeSafe) || policyFor(config, upstream ?? '', name.toLowerCase()).effect === 'safe') continue
      yield found(['messages', name, 'policy', 'cache', 'methods'], 'reuses answers to POST only where the message is safe, which nothing here says', 'Write effect: safe beside cache where it only reads, unless its service marks it so (IGet).', [['messages', name, 'policy', 'effect']])
    }
  })
]

/** RFC 9110 section 5.6.2. The * of a pattern is one of its characters. */
const token = /^[\w!#$%&'*+.^`|~-]+$/

type Own = { readonly [K in 'key' | 'identity']?: Partial<PolicyConfig['cache'][K]> | undefined } & Partial<Pick<PolicyConfig['cache'], 'tagHeaders' | 'purgeTagHeaders'>>

function * headerNames ({ tagHeaders = [], purgeTagHeaders = [], key = {}, identity = {} }: Own): Generator<{ readonly path: readonly string[], readonly names: readonly string[] }> {
  yield { path: ['tagHeaders'], names: tagHeaders }
  yield { path: ['purgeTagHeaders'], names: purgeTagHeaders }
  yield { path: ['key', 'headers'], names: key.headers ?? [] }
  yield { path: ['key', 'inertHeaders'], names: key.inertHeaders ?? [] }
  yield { path: ['identity', 'headers'], names: identity.headers ?? [] }
}

/** Every place that says something of caching. */
function * caches ({ defaults, upstreams, messages, prefixes }: Config): Generator<{ readonly segments: readonly string[], readonly cache: Own }> {
  yield { segments: ['defaults', 'policy', 'cache'], cache: defaults.policy.cache }
  const named = [...entries('upstreams', upstreams), ...entries('messages', messages), ...entries('prefixes', prefixes)]
  for (const { segments, cache } of named) if (cache !== undefined) yield { segments, cache }
}

const entries = (section: string, named: Readonly<Record<string, { readonly policy?: { readonly cache?: Own } }>>): Array<{ readonly segments: readonly string[], readonly cache: Own | undefined }> =>
  Object.entries(named).map(([name, { policy }]) => ({ segments: [section, name, 'policy', 'cache'], cache: policy?.cache }))
