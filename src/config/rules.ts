// What a schema cannot say: how settings must fit together. A list of rules; all of them run, all findings are reported.
import type { Config } from './schema.ts'
import type { Finding } from './schema-errors.ts'
import { listenRules } from './rules-listen.ts'
import { policyRules } from './rules-policy.ts'
import { routeRules } from './rules-route.ts'

export interface RuleInput {
  readonly config: Config
  /** Whether the operator wrote this value, or it is a default. */
  isWritten (segments: readonly string[]): boolean
  /** Whether it came from ${env:…} or ${file:…}. */
  isSecret (segments: readonly string[]): boolean
}

export interface Rule {
  readonly name: string
  /** A warning is shown by `postern check` and logged at the start; an error refuses the configuration. */
  readonly severity: 'error' | 'warning'
  readonly check: (input: RuleInput) => Iterable<Finding>
}

export const rules: readonly Rule[] = [...routeRules, ...policyRules, ...listenRules]
