// The parameters of a Content-Type or Content-Disposition, read only where every host reads the same. Pure.

/** `; name=value` or `; name="value"`; a semicolon with nothing behind it is harmless. */
const parameter = /\s*;\s*(?:([^\s;=",\\]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;",\\]+)))?/y
/** Those that say how a form is read, as hosts look for them that do not parse: .NET Framework ones take the first that looks like it. */
const telling = /(?:boundary|charset|name)\s*=/gi
const quoted = /"(?:[^"\\]|\\.)*"/g
const tellingNames = new Set(['boundary', 'charset', 'name', 'filename'])

/**
 * The parameters from `at` on, where the first word ends: by lower-cased name, unquoted. Undefined where two readers could differ: it is malformed, has a
 * parameter twice, or hides one that says how a form is read elsewhere (`x="; boundary=a"`). `first`: the only one that hosts look for. Once it is read, quoted values behind it may
 * look like it (`name="a"; filename="rename=b"`): who takes the first has found it.
 */
export function readParameters (text: string, at: number, first?: string): Map<string, string> | undefined {
  const found = new Map<string, string>()
  const end = text.trimEnd().length
  let told = 0
  let firstEnd = end
  while (at < end) {
    parameter.lastIndex = at
    const match = parameter.exec(text)
    if (match === null) return undefined
    at = parameter.lastIndex
    const name = match[1]?.toLowerCase()
    if (name === undefined) continue
    if (found.has(name)) return undefined
    if (tellingNames.has(name)) told++
    if (name === first) firstEnd = at
    found.set(name, match[2]?.replace(/\\(.)/g, '$1') ?? match[3]!)
  }
  const looked = text.slice(0, firstEnd) + text.slice(firstEnd).replace(quoted, '""')
  return (looked.match(telling)?.length ?? 0) === told ? found : undefined
}
