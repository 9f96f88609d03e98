// Rules for limits: what must fit within what.
import type { Config, PolicyConfig } from './schema.ts'
import type { Rule } from './rules.ts'

interface Limits { readonly segments: readonly string[], readonly own: Partial<PolicyConfig>, readonly deadlineMs: number }

export const policyRules: readonly Rule[] = [
  {
    name: 'timeouts-within-deadline',
    severity: 'error',
    * check (input) {
      for (const { segments, own, deadlineMs } of policies(input.config)) {
        for (const name of ['queueTimeoutMs', 'connectTimeoutMs'] as const) {
          const value = own[name]
          // A default that no longer fits is only cut short by the deadline: nobody wrote it.
          if (value === undefined || value <= deadlineMs || !input.isWritten([...segments, name])) continue
          yield { segments: [...segments, name], at: 'value', message: `must not be above deadlineMs, which is ${deadlineMs} here (found ${value})`, because: [[...segments, 'deadlineMs'], ['defaults', 'policy', 'deadlineMs']] }
        }
      }
    }
  },
  {
    name: 'limits-in-order',
    severity: 'error',
    * check ({ config, isWritten }) {
      for (const [section, low, high] of orders) {
        const values = section.reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], config) as Record<string, number> | undefined
        if (values === undefined || values[low]! <= values[high]!) continue
        const [wrong, message] = isWritten([...section, low])
          ? [low, `must not be above ${high}, which is ${values[high]} (found ${values[low]})`]
          : [high, `must not be below ${low}, which is ${values[low]} (found ${values[high]})`]
        yield { segments: [...section, wrong], at: 'value', message, because: [[...section, low], [...section, high]] }
      }
    }
  }
]

const orders: ReadonlyArray<readonly [section: readonly string[], low: string, high: string]> = [
  [['listener', 'limits'], 'gatheredBodyBytes', 'gatheredTotalBytes'],
  [['listener', 'limits'], 'heldBodyBytes', 'gatheredTotalBytes'],
  [['registry', 'ask'], 'intervalMs', 'maxIntervalMs'],
  [['registry', 'consul'], 'minIntervalMs', 'waitMs']
]

/** Every place that sets limits, with the deadline that holds there. */
function * policies ({ defaults, upstreams, messages, prefixes }: Config): Generator<Limits> {
  const ofUpstream = (name: string | undefined) => (name !== undefined && Object.hasOwn(upstreams, name) ? upstreams[name]?.policy?.deadlineMs : undefined) ?? defaults.policy.deadlineMs
  yield { segments: ['defaults', 'policy'], own: defaults.policy, deadlineMs: defaults.policy.deadlineMs }
  for (const [name, { policy }] of Object.entries(upstreams)) {
    if (policy !== undefined) yield { segments: ['upstreams', name, 'policy'], own: policy, deadlineMs: ofUpstream(name) }
  }
  for (const [section, entries] of [['messages', messages], ['prefixes', prefixes]] as const) {
    for (const [key, { policy, upstream }] of Object.entries(entries)) {
      if (policy !== undefined) yield { segments: [section, key, 'policy'], own: policy, deadlineMs: policy.deadlineMs ?? ofUpstream(upstream) }
    }
  }
}
