// Rules for outage copies: requests that can be sent, where they may stand, and what keeping them needs.
import { found, refuse, type Rule } from './rule.ts'
import type { Config } from './schema.ts'
import { show, type Finding } from './schema-errors.ts'

/** Of all messages together, hosts counted. */
const mostInAll = 1_000

/** What may stand in a request target as it is: everything else is written as %XX. */
const isTargetText = (text: string): boolean => /^[\x21\x22\x24-\x7e]*$/.test(text)
const isScalar = (value: unknown): boolean => typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
const isProperties = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value) &&
  Object.values(value).every(one => isScalar(one) || (Array.isArray(one) && one.every(isScalar)))

export const outageRules: readonly Rule[] = [
  refuse('outage-requests', function * ({ config }) {
    for (const { segments, section, name, requests } of places(config)) {
      if (section === 'upstreams' || section === 'defaults') {
        if (requests.length > 0) yield found(segments, 'must stand in messages or prefixes', 'Each request is of one message.')
        continue
      }
      for (const [index, request] of requests.entries()) yield * judge([...segments, String(index)], request, section === 'prefixes' ? name : undefined)
    }
  }),
  refuse('outage-in-all', function * ({ config }) {
    const all = [...places(config)].filter(({ section }) => section === 'messages' || section === 'prefixes')
    const sum = all.reduce((total, { requests, hosts }) => total + requests.length * Math.max(1, hosts.length), 0)
    if (sum > mostInAll) yield found(all.at(-1)!.segments, `must not be more than ${mostInAll} outage copies in all, for every host one (found ${sum})`)
  }),
  refuse('outage-on-disk', function * ({ config }) {
    if (config.dataDirectory !== undefined) return
    for (const { segments, requests } of places(config)) if (requests.length > 0) yield found(segments, 'needs dataDirectory, where the copies are kept', 'Without it they would be lost with a restart.')
  }),
  refuse('outage-in-time', function * ({ config }) {
    for (const { segments, requests, everyMs, maxAgeMs } of places(config)) {
      const section = segments.slice(0, -1)
      if (requests.length > 0 && everyMs >= maxAgeMs) yield found([...section, 'maxAgeMs'], `must be above everyMs, which is ${everyMs} (found ${maxAgeMs})`, 'Copies would be too old before they are fetched again.', [[...section, 'everyMs']])
    }
  })
]

/** `prefix`: the pattern that the path must be within. */
function * judge (segments: readonly string[], request: unknown, prefix: string | undefined): Generator<Finding> {
  if (prefix !== undefined) {
    const base = prefix.slice(0, -2).toLowerCase()
    const isWithin = typeof request === 'string' && isTargetText(request) && /^[/?]?$/.test(request.slice(base.length, base.length + 1)) && request.toLowerCase().startsWith(base)
    if (!isWithin) yield found(segments, `must be a path with query below ${prefix} (found ${show(request)})`)
  } else if (typeof request === 'string') {
    if (!isTargetText(request)) yield found(segments, `must be a query string or a path, with everything else than ASCII written as %XX (found ${show(request)})`, 'As properties ({ Name: … }) it may have anything.')
  } else if (!isProperties(request)) {
    yield found(segments, `must be text (a query string, or a path that begins with /) or a section of properties with texts, numbers, true, false, or lists of them (found ${show(request)})`)
  }
}

type OutageConfig = Config['defaults']['policy']['cache']['outage']
interface PlaceOfRequests extends OutageConfig { readonly segments: string[], readonly section: 'defaults' | 'upstreams' | 'messages' | 'prefixes', readonly name: string }

/** Every place where requests stand, with what else holds there. */
function * places ({ defaults, upstreams, messages, prefixes }: Config): Generator<PlaceOfRequests> {
  const { outage } = defaults.policy.cache
  yield { ...outage, segments: ['defaults', 'policy', 'cache', 'outage', 'requests'], section: 'defaults', name: '' }
  const sections = [['upstreams', upstreams], ['messages', messages], ['prefixes', prefixes]] as const
  for (const [section, entries] of sections) {
    for (const [name, { policy, upstream }] of Object.entries<Pick<Config['messages'][string], 'policy' | 'upstream'>>(entries)) {
      const own = policy?.cache?.outage
      const above = upstream === undefined ? undefined : upstreams[upstream]?.policy?.cache?.outage
      if (own?.requests !== undefined) yield { ...outage, ...above, ...own, requests: own.requests, segments: [section, name, 'policy', 'cache', 'outage', 'requests'], section, name }
    }
  }
}
