// Rules for limits: what must fit within what.
import { found, refuse, type Rule } from './rule.ts'
import type { Config, PolicyConfig } from './schema.ts'

interface Limits { readonly segments: readonly string[], readonly own: Partial<Pick<PolicyConfig, 'queueTimeoutMs' | 'connectTimeoutMs'>>, readonly deadlineMs: number }

export const policyRules: readonly Rule[] = [
  refuse('timeouts-within-deadline', function * (input) {
    for (const { segments, own, deadlineMs } of policies(input.config)) {
      for (const name of ['queueTimeoutMs', 'connectTimeoutMs'] as const) {
        const value = own[name]
        // A default that no longer fits is only cut short by the deadline: nobody wrote it.
        if (value === undefined || value <= deadlineMs || !input.isWritten([...segments, name])) continue
        yield found([...segments, name], `must not be above deadlineMs, which is ${deadlineMs} here (found ${value})`, undefined, [[...segments, 'deadlineMs'], ['defaults', 'policy', 'deadlineMs']])
      }
    }
  }),
  refuse('limits-in-order', function * ({ config, isWritten }) {
    for (const [section, low, high] of orders) {
      const values = section.reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], config) as Record<string, number> | undefined
      if (values === undefined || values[low]! <= values[high]!) continue
      const [wrong, message]: [string, string] = isWritten([...section, low])
        ? [low, `must not be above ${high}, which is ${values[high]} (found ${values[low]})`]
        : [high, `must not be below ${low}, which is ${values[low]} (found ${values[high]})`]
      yield found([...section, wrong], message, undefined, [[...section, low], [...section, high]])
    }
  })
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
  const routes = [
    ...Object.entries(messages).map(([key, message]) => ({ ...message, segments: ['messages', key, 'policy'] })),
    ...Object.entries(prefixes).map(([key, prefix]) => ({ ...prefix, segments: ['prefixes', key, 'policy'] }))
  ]
  for (const { segments, policy, upstream } of routes) {
    if (policy !== undefined) yield { segments, own: policy, deadlineMs: policy.deadlineMs ?? ofUpstream(upstream) }
  }
}
