// The schema, compiled: checks a value and fills in its defaults.
import { Ajv, type ErrorObject } from 'ajv'
import { schemaAt } from './schema-errors.ts'
import { fromPointer } from './problem.ts'
import { ConfigSchema, type Config } from './schema.ts'

const ajv = new Ajv({ allErrors: true, useDefaults: true, strict: true })
ajv.addFormat('base-url', (text: string) => {
  if (!URL.canParse(text)) return false
  const { username, password, search, hash, port } = new URL(text)
  return username === '' && password === '' && search === '' && hash === '' && port !== '0'
})
ajv.addFormat('path', (text: string) => !text.includes('\0'))
ajv.addFormat('listen-address', (text: string) => {
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[^:\s[\]]+):(\d{1,5})$/.exec(text)
  return match !== null && Number(match[1]) <= 65_535
})
const check = ajv.compile<Config>(ConfigSchema)

export interface Validated {
  readonly errors: readonly ErrorObject[]
  /** Every default filled in; what is wrong is left out, so that the rules can look at the rest. */
  readonly config: Config
  /** What was left out. */
  readonly removed: ReadonlyArray<readonly string[]>
}

/** Changes nothing of what it is given. Sections without a value (`registry:` with nothing below) count as empty ones. */
export function validate (raw: unknown): Validated {
  let value: unknown = fillEmptySections(structuredClone(raw), ConfigSchema)
  if (check(value)) return { errors: [], config: value, removed: [] }
  const errors = [...check.errors ?? []]
  const removed: string[][] = []
  let wrong: readonly ErrorObject[] = errors
  // Each round removes at least one value, deepest first, so it ends; a default can be wrong in nothing.
  for (;;) {
    for (const error of wrong) {
      const segments = fromPointer(error.instancePath)
      if (error.keyword === 'additionalProperties') segments.push(String((error.params as Record<string, unknown>)['additionalProperty']))
      removed.push(segments)
      value = without(value, segments)
    }
    if (check(value)) return { errors, config: value, removed }
    wrong = check.errors ?? []
  }
}

/** Items of a list are not removed one by one: the list goes. */
function without (value: unknown, segments: readonly string[]): unknown {
  if (segments.length === 0) return {}
  let parent = value as Record<string, unknown>
  for (const segment of segments.slice(0, -1)) {
    const next = parent[segment]
    if (typeof next !== 'object' || next === null) return value
    if (Array.isArray(next)) {
      delete parent[segment]
      return value
    }
    parent = next as Record<string, unknown>
  }
  delete parent[segments.at(-1)!]
  return value
}

function fillEmptySections (value: unknown, schema: unknown, segments: readonly string[] = []): unknown {
  const node = schemaAt(schema, segments)
  if (value === null && node?.type === 'object') return {}
  if (typeof value !== 'object' || value === null || node === undefined) return value
  for (const [key, field] of Object.entries(value)) (value as Record<string, unknown>)[key] = fillEmptySections(field, schema, [...segments, key])
  return value
}
