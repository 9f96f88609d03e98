// Rules for splits: shares that fit together, parts that can be told apart.
import { found, refuse, type Rule } from './rule.ts'
import type { Config } from './schema.ts'

type Parts = Config['defaults']['policy']['split']['parts']

const conditions = ['header', 'cookie', 'query', 'property'] as const

export const splitRules: readonly Rule[] = [
  refuse('split-shares', function * ({ config }) {
    for (const { segments, parts } of splits(config)) {
      const sum = parts.reduce((total, { percent = 0 }) => total + percent, 0)
      if (sum > 100) yield found(segments, `must not give away more than 100 percent (found ${sum})`)
    }
  }),
  refuse('split-parts', function * ({ config }) {
    for (const { segments, parts } of splits(config)) {
      const names = new Set<string>()
      for (const [index, { name, to, percent, when }] of parts.entries()) {
        const at = (...rest: string[]) => [...segments, String(index), ...rest]
        if (name === 'rest') yield found(at('name'), 'must not be rest', 'That is the name of what no part has taken.')
        else if (names.has(name)) yield found(at('name'), `must be the only part of this name (found ${name} twice)`)
        names.add(name)
        if (Object.keys(to).length === 0) yield found(at('to'), 'must say which endpoints', 'Give version, tag, meta or upstream.')
        if (percent === undefined && when === undefined) yield found(at(), 'must have percent or when', 'Without them no call goes there.')
        if (when !== undefined && conditions.filter(condition => when[condition] !== undefined).length !== 1) yield found(at('when'), 'must have exactly one of header, cookie, query and property')
      }
    }
  })
]

/** Every place that splits. */
function * splits ({ defaults, upstreams, messages, prefixes }: Config): Generator<{ segments: string[], parts: Parts }> {
  yield { segments: ['defaults', 'policy', 'split', 'parts'], parts: defaults.policy.split.parts }
  const sections = [['upstreams', upstreams], ['messages', messages], ['prefixes', prefixes]] as const
  for (const [section, entries] of sections) {
    for (const [name, { policy }] of Object.entries<Pick<Config['messages'][string], 'policy'>>(entries)) {
      const parts = policy?.split?.parts
      if (parts !== undefined) yield { segments: [section, name, 'policy', 'split', 'parts'], parts }
    }
  }
}
