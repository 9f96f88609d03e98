// Whether a message may be called from outside: what the operator wrote over what the service says (decisions 2.2, 2.3). Pure.
import type { Config } from '../config/schema.ts'
import { neverRouted } from '../config/never-routed.ts'
import { toMatch } from '../lib/match-names.ts'

export type ExposureCause = 'exposed' | 'never' | 'message-setting' | 'hide' | 'not-in-expose' | 'restricted'
export type Exposure = (upstream: string, key: string, restricted: boolean) => ExposureCause

/** The rule for all messages of a configuration. `exposed` is the only cause that lets a message out; `message-setting` hides it. */
export function createExposure (config: Pick<Config, 'exposure' | 'upstreams' | 'messages'>): Exposure {
  const single = new Map<string, boolean>()
  for (const [name, message] of Object.entries(config.messages)) if (message.expose !== undefined) single.set(name.toLowerCase(), message.expose)
  const patterns = (upstream: string) => {
    const own = config.upstreams[upstream]
    return {
      expose: toMatch(own?.expose ?? config.exposure.expose),
      hide: toMatch(own?.hide ?? config.exposure.hide),
      exposeRestricted: toMatch(own?.exposeRestricted ?? config.exposure.exposeRestricted)
    }
  }
  const rules = new Map<string, ReturnType<typeof patterns>>()
  return (upstream, key, restricted) => {
    if (neverRouted.has(key)) return 'never'
    const decided = single.get(key)
    if (decided !== undefined) return decided ? 'exposed' : 'message-setting'
    let rule = rules.get(upstream)
    if (rule === undefined) rules.set(upstream, rule = patterns(upstream))
    if (rule.hide(key)) return 'hide'
    if (!rule.expose(key)) return 'not-in-expose'
    return restricted && !rule.exposeRestricted(key) ? 'restricted' : 'exposed'
  }
}
