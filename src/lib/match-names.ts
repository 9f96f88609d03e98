// Lists of names in which * matches anything.
/** `key` is in lower case. */
export type Match = (key: string) => boolean

/** Patterns in which * matches anything, without regard to case. No regular expression: `a*a*a*…` must not cost more than its length. */
export function toMatch (patterns: readonly string[]): Match {
  if (patterns.includes('*')) return () => true
  const exact = new Set<string>()
  const globs: string[][] = []
  for (const pattern of patterns.map(text => text.toLowerCase())) {
    if (pattern.includes('*')) globs.push(pattern.split('*'))
    else exact.add(pattern)
  }
  return key => exact.has(key) || globs.some(parts => matchesParts(parts, key))
}

function matchesParts (parts: readonly string[], key: string): boolean {
  const head = parts[0] ?? ''
  const tail = parts.at(-1) ?? ''
  if (key.length < head.length + tail.length || !key.startsWith(head) || !key.endsWith(tail)) return false
  let at = head.length
  for (const part of parts.slice(1, -1)) {
    const found = key.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  return at <= key.length - tail.length
}
