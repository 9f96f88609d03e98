// What the validator found, in words for an operator. Pure.
import type { ErrorObject } from 'ajv'
import { nearestWord } from '../lib/edit-distance.ts'
import { fromPointer, userInfo } from './problem.ts'

export interface Finding {
  /** Where: of an unknown key itself, of a missing one its parent. */
  readonly segments: readonly string[]
  readonly at: 'key' | 'value'
  readonly message: string
  readonly hint?: string | undefined
  /** Other values this rests on: where one of those is wrong itself, this is not reported. */
  readonly because?: ReadonlyArray<readonly string[]>
}

interface SchemaNode {
  readonly type?: string
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly description?: string
  readonly writeOnly?: boolean
}

/** The part of a schema that describes a value, if any. */
export function schemaAt (schema: unknown, segments: readonly string[]): SchemaNode | undefined {
  let node = schema as SchemaNode | undefined
  for (const segment of segments) node = node?.properties?.[segment] ?? Object.values(node?.patternProperties ?? {})[0] ?? node?.items
  return node
}

const kinds: Record<string, string> = { integer: 'a whole number', number: 'a number', string: 'text', boolean: 'true or false', array: 'a list', object: 'a section with settings of its own' }

/** `isSecret`: the value must not be shown. */
export function toFinding (error: ErrorObject, schema: unknown, options: { value: unknown, isSecret: boolean }): Finding {
  const segments = fromPointer(error.instancePath)
  const params = error.params as Record<string, unknown>
  const found = options.isSecret ? '' : ` (found ${show(options.value)})`
  const here = { segments, at: 'value' } as const
  switch (error.keyword) {
    case 'additionalProperties': return unknownKey(segments, String(params['additionalProperty']), schema)
    case 'required': {
      const missing = String(params['missingProperty'])
      return { segments, at: 'key', message: `"${missing}" is missing`, hint: schemaAt(schema, [...segments, missing])?.description }
    }
    case 'type': {
      const wanted = String(params['type'])
      if (options.value === null) return { ...here, message: 'has no value', hint: `Give it ${kinds[wanted] ?? wanted}, or remove the line.` }
      return { ...here, message: `must be ${kinds[wanted] ?? wanted}${found}`, hint: options.isSecret ? undefined : typeHint(wanted, options.value) }
    }
    case 'enum': {
      const allowed = (params['allowedValues'] as unknown[]).map(String)
      const near = typeof options.value === 'string' ? nearestWord(options.value, allowed) : undefined
      return { ...here, message: `must be one of ${allowed.join(', ')}${found}`, hint: near === undefined ? undefined : `Did you mean ${near}?` }
    }
    case 'minimum': return { ...here, message: `must be at least ${String(params['limit'])}${found}` }
    case 'maximum': return { ...here, message: `must be at most ${String(params['limit'])}${found}` }
    case 'minItems': return { ...here, message: 'must not be an empty list', hint: 'Remove the line for the default.' }
    case 'minLength': return { ...here, message: 'must not be empty' }
    case 'format': return { ...here, message: `${formats[String(params['format'])]?.message ?? 'is not well formed'}${found}`, hint: formats[String(params['format'])]?.hint }
    case 'pattern': return { ...here, message: `${patterns[String(params['pattern'])] ?? `must match ${String(params['pattern'])}`}${found}` }
    default: return { ...here, message: `${error.message ?? 'is wrong'}${found}` }
  }
}

const formats: Record<string, { message: string, hint?: string }> = {
  'base-url': { message: 'must be an address and a base path alone, without user, query and fragment', hint: 'For example http://10.0.0.5:8080 or http://10.0.0.5:8080/base' },
  'listen-address': { message: 'must be HOST:PORT, the port from 0 to 65535', hint: 'For example 0.0.0.0:8080 or [::1]:8080' }
}
const patterns: Record<string, string> = {
  '^https?://': 'must begin with http:// or https://',
  '^/': 'must begin with /',
  '^https?://[^/?#\\s]+$': 'must be scheme and host alone, as in https://api.example.com'
}

function unknownKey (parent: readonly string[], key: string, schema: unknown): Finding {
  const names = Object.keys(schemaAt(schema, parent)?.properties ?? {})
  const near = nearestWord(key, names)
  const elsewhere = near === undefined ? findElsewhere(schema, key) : undefined
  const hint = near !== undefined
    ? `Did you mean ${near}?`
    : elsewhere !== undefined ? `It belongs under ${elsewhere}.` : `Known here: ${names.join(', ')}.`
  return { segments: [...parent, key], at: 'key', message: 'is not a known setting', hint }
}

/** The section that has a key of exactly this name, for one that was put at the wrong depth. */
function findElsewhere (schema: unknown, key: string, path = ''): string | undefined {
  for (const [name, child] of Object.entries((schema as SchemaNode).properties ?? {})) {
    const here = path === '' ? name : `${path}.${name}`
    if (child.properties?.[key] !== undefined) return here
    const deeper = findElsewhere(child, key, here)
    if (deeper !== undefined) return deeper
  }
  return undefined
}

function typeHint (wanted: string, value: unknown): string | undefined {
  if (typeof value === 'string') {
    if (wanted === 'boolean' && /^(yes|on|no|off)$/i.test(value)) return `Write ${/^(yes|on)$/i.test(value) ? 'true' : 'false'}.`
    if (wanted === 'integer' && /^[\d_]+$/.test(value)) return `Write ${value.replaceAll('_', '')}, without quotes or underscores.`
    const duration = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)$/i.exec(value)
    if (wanted === 'integer' && duration !== null) return `Write milliseconds as a plain number: ${Number(duration[1]) * (milliseconds[duration[2]!.toLowerCase()] ?? 1)}.`
    const size = /^(\d+)\s*(k|kb|kib|m|mb|mib|g|gb|gib)$/i.exec(value)
    if (wanted === 'integer' && size !== null) return `Write bytes as a plain number: ${Number(size[1]) * 1_024 ** ('kmg'.indexOf(size[2]![0]!.toLowerCase()) + 1)}.`
    if (wanted === 'array') return `Write [${value.length > 40 ? '…' : value}], or one "- " line for each.`
  }
  if (wanted === 'string' && (typeof value === 'number' || typeof value === 'boolean')) return `Put it in quotes: "${String(value)}".`
  return undefined
}

const milliseconds: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 }

/** A value as the operator wrote it, short; passwords within URLs never. */
export function show (value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a section'
  if (typeof value !== 'string') return String(value as number | boolean)
  const text = value.replaceAll(userInfo, '//***@')
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
