// Which request headers select an answer, and what a request has in them (RFC 9111 section 4.1). Pure.
import { combined, isFieldName, listMembers } from './field-syntax.ts'

const noNames: readonly string[] = []

/**
 * Lower-case names, sorted, each once. undefined: `*` is among them, or something that is no name, so no request can be known to match.
 * An answer in a content coding varies by Accept-Encoding, whether it says so or not: nobody else could read it.
 */
export function varyNames (headers: readonly string[], withoutAccept: boolean): readonly string[] | undefined {
  const value = combined(headers, 'vary')
  const names = new Set<string>()
  if (value !== undefined) {
    for (const member of listMembers(value)) {
      if (!isFieldName(member)) return undefined
      names.add(member.toLowerCase())
    }
  }
  if (combined(headers, 'content-encoding') !== undefined) names.add('accept-encoding')
  if (withoutAccept) names.delete('accept')
  return names.size === 0 ? noNames : [...names].sort()
}

/** Lists in which letter case says nothing, nor does a weight of 1 (RFC 9110 section 12.5). */
const weighted: ReadonlySet<string> = new Set(['accept', 'accept-charset', 'accept-encoding', 'accept-language'])

/** ServiceStack hosts answer in the first format of Accept that they have, whatever the weights, and many an application in the first language. In the others order says nothing. */
const ordered: ReadonlySet<string> = new Set(['accept', 'accept-language'])

/** What a request has in these headers, as one text: equal texts select the same answer. Absent is not the same as empty. */
export function variantOf (names: readonly string[], requestHeaders: readonly string[]): string {
  let variant = ''
  for (const name of names) variant += `${name}:${normalized(name, combined(requestHeaders, name))}\n`
  return variant
}

function normalized (name: string, value: string | undefined): string {
  if (value === undefined) return ''
  const members = listMembers(value)
  if (!weighted.has(name)) return ` ${members.join(', ')}`
  const plain = members.map(member => member.toLowerCase().replaceAll(/\s*([;=])\s*/g, '$1').replace(/;q=1(?:\.0*)?$/, ''))
  return ` ${(ordered.has(name) ? plain : plain.sort()).join(', ')}`
}
