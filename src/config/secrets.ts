// ${env:NAME} and ${file:PATH} in the strings of a configuration. Knows nothing of where they are read from.

/** Returns the secret, or throws an Error whose message says why there is none (and never what is in it). */
export type ReadSecret = (kind: 'env' | 'file', name: string) => string

export interface SecretFault {
  readonly segments: readonly string[]
  readonly message: string
  readonly hint: string
}

export interface Substituted {
  readonly value: unknown
  /** JSON pointers of values that came from a secret: never shown. */
  readonly secrets: ReadonlySet<string>
  readonly faults: readonly SecretFault[]
}

export const secretExample = '$' + '{env:NAME} or $' + '{file:PATH}'
const reference = /\$(\$)?\{([^}]*)\}/g
const known = /^(env|file):(.+)$/s

/** A copy with every reference replaced; `$${…}` stands for a plain `${…}`. */
export function substituteSecrets (value: unknown, readSecret: ReadSecret): Substituted {
  const secrets = new Set<string>()
  const faults: SecretFault[] = []

  const replace = (text: string, segments: readonly string[]): string => text.replaceAll(reference, (whole, escaped: string | undefined, inner: string) => {
    if (escaped !== undefined) return whole.slice(1)
    const parts = known.exec(inner)
    if (parts === null) {
      faults.push({ segments, message: `\${${inner}} is not known`, hint: `Write ${secretExample}, or $\${…} for the plain text.` })
      return ''
    }
    secrets.add(toPointer(segments))
    try {
      return readSecret(parts[1] as 'env' | 'file', parts[2]!)
    } catch (error) {
      faults.push({ segments, message: `${whole} cannot be read: ${error instanceof Error ? error.message : String(error)}`, hint: parts[1] === 'env' ? 'Set it in the environment of postern.' : 'The path is relative to this file.' })
      return ''
    }
  })
  const walk = (part: unknown, segments: readonly string[]): unknown => {
    if (typeof part === 'string') return replace(part, segments)
    if (Array.isArray(part)) return part.map((item, index) => walk(item, [...segments, String(index)]))
    if (typeof part !== 'object' || part === null) return part
    return Object.fromEntries(Object.entries(part).map(([key, field]) => [key, walk(field, [...segments, key])]))
  }
  return { value: walk(value, []), secrets, faults }
}

export function toPointer (segments: readonly string[]): string {
  return segments.map(segment => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
