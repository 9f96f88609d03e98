// Rules for injected faults: allowed, and with an end.
import { found, refuse, warn, type Rule } from './rule.ts'
import type { Config } from './schema.ts'

type Fault = Partial<Config['defaults']['policy']['fault']>

export const faultRules: readonly Rule[] = [
  refuse('faults-allowed', function * ({ config }) {
    for (const { segments, fault } of faults(config)) {
      if (!config.faults.allow) yield found(segments, 'injects a fault, and faults.allow is false', 'Set faults.allow: true for the game day.')
      if (Number.isNaN(Date.parse(fault.until ?? ''))) yield found([...segments, ...fault.until === undefined ? [] : ['until']], 'needs until: when the fault ends', 'As in 2026-12-01T18:00:00Z.')
    }
  }),
  refuse('fault-status', function * ({ config }) {
    for (const { segments, fault: { abortStatus = 0 } } of faults(config)) {
      if (abortStatus > 0 && abortStatus < 400) yield found([...segments, 'abortStatus'], `must be a status from 400 to 599 (found ${abortStatus})`)
    }
  }),
  warn('faults-in-force', function * ({ config }) {
    for (const { segments, fault } of faults(config)) yield found(segments, `injects faults until ${fault.until ?? '?'}`)
  })
]

/** Every place that injects something. */
function * faults ({ defaults, upstreams, messages, prefixes }: Config): Generator<{ segments: string[], fault: Fault }> {
  const places: Array<{ segments: string[], fault: Fault | undefined }> = [{ segments: ['defaults', 'policy', 'fault'], fault: defaults.policy.fault }]
  for (const [section, entries] of [['upstreams', upstreams], ['messages', messages], ['prefixes', prefixes]] as const) {
    for (const [name, { policy }] of Object.entries<Pick<Config['messages'][string], 'policy'>>(entries)) places.push({ segments: [section, name, 'policy', 'fault'], fault: policy?.fault as Fault | undefined })
  }
  for (const { segments, fault } of places) {
    if (fault !== undefined && ((fault.delayMs ?? 0) > 0 || (fault.abortStatus ?? 0) > 0 || fault.reset === true)) yield { segments, fault }
  }
}
