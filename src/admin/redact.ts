// The effective configuration as it may be shown: secrets taken out. Pure.

const secretNames = /^(token|password|secret|apiKey|privateKey)$/i
const userInfo = /(\/\/)[^/?#@\s]+@/g

/** A copy in which secrets and passwords within URLs are replaced. What is no plain JSON value is left out. */
export function redact (value: unknown): unknown {
  if (typeof value === 'string') return value.replace(userInfo, '$1[redacted]@')
  if (Array.isArray(value)) return value.map(redact)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) =>
    [name, secretNames.test(name) && typeof field === 'string' && field !== '' ? '[redacted]' : redact(field)]))
}
