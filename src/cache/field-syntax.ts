// Reading header fields by their grammar: tokens, quoted strings and lists (RFC 9110 section 5.6). Pure.

/** Values of a field in a flat header list, in order. `name` in lower case. */
export function fieldValues (headers: readonly string[], name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length === name.length && headers[i]!.toLowerCase() === name) values.push(headers[i + 1]!)
  }
  return values
}

/** Lines of one list field as a single list (RFC 9110 section 5.3); undefined where there is none. */
export function combined (headers: readonly string[], name: string): string | undefined {
  let value: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length !== name.length || headers[i]!.toLowerCase() !== name) continue
    value = value === undefined ? headers[i + 1]! : `${value}, ${headers[i + 1]!}`
  }
  return value
}

const space = 0x20
const tab = 0x09
const comma = 0x2c
const semicolon = 0x3b
const quote = 0x22
const backslash = 0x5c

/**
 * Members of a list, split at commas outside quoted strings, trimmed; empty ones are left out (RFC 9110 section 5.6.1.2). A quoted string
 * that does not end takes the rest: what was meant to be inside must not become a member of its own.
 */
export const listMembers = (value: string): string[] => splitAt(comma, value)

/** A member and its parameters, in fields whose members have some (RFC 9651 section 3.1.2), in the same way. */
export const withParameters = (member: string): string[] => splitAt(semicolon, member)

function splitAt (separator: number, value: string): string[] {
  const parts: string[] = []
  let start = 0
  let quoted = false
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (quoted) {
      if (code === backslash) i++
      else if (code === quote) quoted = false
    } else if (code === quote) quoted = true
    else if (code === separator) {
      pushTrimmed(parts, value, start, i)
      start = i + 1
    }
  }
  pushTrimmed(parts, value, start, value.length)
  return parts
}

function pushTrimmed (parts: string[], value: string, from: number, to: number): void {
  const part = trimmed(value, from, to)
  if (part !== '') parts.push(part)
}

/** Without the white space of HTTP around it: there is other that `trim` takes away. */
export function trimmed (text: string, from = 0, to = text.length): string {
  while (from < to && isSpace(text.charCodeAt(from))) from++
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

const isSpace = (code: number): boolean => code === space || code === tab

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
export const isToken = (text: string): boolean => token.test(text)

/** A token like the names of fields; in `Accept|Cookie` others were meant, whatever the grammar has it. */
export const isFieldName = (text: string): boolean => /^[\w.-]+$/.test(text)

/** What a quoted string says; undefined for what is none. */
export function unquote (text: string): string | undefined {
  if (text.length < 2 || text.charCodeAt(0) !== quote || text.charCodeAt(text.length - 1) !== quote) return undefined
  let said = ''
  for (let i = 1; i < text.length - 1; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) return undefined
    if (code === backslash && ++i === text.length - 1) return undefined
    said += text[i]!
  }
  return said
}

/** RFC 9111 section 1.2.2: what does not fit is this, "infinity" to everybody. */
const mostSeconds = 2_147_483_648

/** A delta-seconds; undefined for what is none (signs, fractions, letters, nothing). */
export function deltaSeconds (text: string): number | undefined {
  if (text.length === 0) return undefined
  let seconds = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return undefined
    if (seconds < mostSeconds) seconds = seconds * 10 + digit
  }
  return Math.min(seconds, mostSeconds)
}
