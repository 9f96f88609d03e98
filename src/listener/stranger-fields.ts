// Query keys and form fields that ServiceStack hosts obey and clients may not send: found by decoded name in any letter case, cut out, the other bytes unchanged. Pure.
import { debugNames, decodeFieldName, sessionKeys } from '../exchange/debug-names.ts'
import { GatewayError } from '../exchange/errors.ts'
import type { Treat } from '../exchange/headers.ts'

/** The names to look for, and what to do about each. */
export interface FieldRules {
  /** By lower-cased name; what is allowed is left out. */
  readonly treats: ReadonlyMap<string, 'remove' | 'refuse'>
}

const overrideKey = 'x-http-method-override'

export function createFieldRules (treats: { readonly methodOverride: Treat, readonly debugKeys: Treat, readonly sessionHeaders: Treat }): FieldRules {
  const rules = new Map<string, 'remove' | 'refuse'>()
  const add = (names: readonly string[], treat: Treat) => { if (treat !== 'allow') for (const name of names) rules.set(name, treat) }
  add([overrideKey], treats.methodOverride)
  add(debugNames, treats.debugKeys)
  add(sessionKeys, treats.sessionHeaders)
  return { treats: rules }
}

/** A field without `=` is a name too. */
const nameOf = (field: string): string => {
  const equals = field.indexOf('=')
  return equals === -1 ? field : field.slice(0, equals)
}

/**
 * A query with its `?`, or ''.
 * @throws GatewayError FieldNotAllowed
 */
export function stripQueryKeys (query: string, { treats }: FieldRules): string {
  if (query.length < 2 || treats.size === 0) return query
  const rest = stripFields(query.slice(1), treats)
  return rest === undefined ? query : rest === '' ? '' : `?${rest}`
}

/**
 * An application/x-www-form-urlencoded body, as latin1 text.
 * @throws GatewayError FieldNotAllowed
 */
export function stripFormFields (body: string, { treats }: FieldRules): string {
  return stripFields(body, treats) ?? body
}

/** Undefined when there is nothing to cut. */
function stripFields (text: string, treats: ReadonlyMap<string, 'remove' | 'refuse'>): string | undefined {
  let kept: string[] | undefined
  const fields = text.split('&')
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!
    const name = decodeFieldName(nameOf(field))
    const treat = treats.get(name)
    if (treat === 'refuse') throw new GatewayError('FieldNotAllowed', { detail: { field: name } })
    if (treat === 'remove') kept ??= fields.slice(0, i)
    else kept?.push(field)
  }
  return kept?.join('&')
}

/** The value of the method override where it may pass: decoded, the first one. */
export function overrideInQuery (query: string): string | undefined {
  if (query.length < overrideKey.length || !/override/i.test(query.includes('%') ? decodeFieldName(query) : query)) return undefined
  for (const field of query.slice(1).split('&')) {
    if (decodeFieldName(nameOf(field)) === overrideKey) return decodeFieldName(field.slice(nameOf(field).length + 1))
  }
  return undefined
}
