// What a rule is: a name, how much it weighs, and a check of the whole configuration.
import type { Config } from './schema.ts'
import type { Finding } from './schema-errors.ts'

export interface RuleInput {
  readonly config: Config
  /** Whether the operator wrote this value, or it is a default. */
  isWritten (segments: readonly string[]): boolean
  /** Whether it came from an environment variable or a file of its own. */
  isSecret (segments: readonly string[]): boolean
  /** The text of a file that a setting names; throws an Error that says why there is none. Undefined = files are not looked at. */
  readonly readPem: ((path: string) => string) | undefined
}

export interface Rule {
  readonly name: string
  /** An error refuses the configuration; a warning is shown by `postern check` and logged at the start. */
  readonly severity: 'error' | 'warning'
  readonly check: (input: RuleInput) => Iterable<Finding>
}

export const refuse = (name: string, check: Rule['check']): Rule => ({ name, severity: 'error', check })
export const warn = (name: string, check: Rule['check']): Rule => ({ name, severity: 'warning', check })

/** A finding about a value; `because`: see Finding. */
export const found = (segments: readonly string[], message: string, hint?: string, because: Finding['because'] = []): Finding => ({ segments, at: 'value', message, hint, because })
/** A finding about a name that the operator chose. */
export const foundKey = (segments: readonly string[], message: string, hint?: string): Finding => ({ segments, at: 'key', message, hint })
