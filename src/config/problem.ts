// What is wrong in a configuration and where: one problem as the operator reads it. Pure.

export interface Place {
  /** 1-based. */
  readonly line: number
  readonly column: number
}

export interface Problem {
  /** The file, or the flag of the command line (--listen) the value came from. */
  readonly source: string
  /** Undefined for a flag, and for what concerns the file as a whole. */
  readonly place: Place | undefined
  /** Dotted, as an operator would write it: upstreams.catalog.policy.deadlineMs. Empty for the whole file. */
  readonly path: string
  readonly message: string
  readonly hint: string | undefined
  /** The line of the file and a caret under the place; secrets masked. */
  readonly frame: string | undefined
}

const mostShown = 50

/** Everything that is wrong with a configuration, in the order of the file. `message` has all of it. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor (problems: readonly Problem[]) {
    super(formatProblems(problems))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** `file:line:column  path: what is wrong. Hint: …` and a code frame, one after the other; at most 50. */
export function formatProblems (problems: readonly Problem[]): string {
  const shown = problems.slice(0, mostShown).map(formatProblem)
  if (problems.length > mostShown) shown.push(`… and ${problems.length - mostShown} more`)
  return shown.join('\n')
}

export function formatProblem (problem: Problem): string {
  return problem.frame === undefined ? describeProblem(problem) : `${describeProblem(problem)}\n${problem.frame}`
}

/** One line, for a log. */
export function describeProblem ({ source, place, path, message, hint }: Problem): string {
  const where = place === undefined ? source : `${source}:${place.line}:${place.column}`
  return `${where}  ${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : `. Hint: ${hint}`}`
}

/** A key whose value nobody may see, and what stands behind it on its line. */
const secretOnLine = /((?:token|password|secret)\w*["']?\s*:\s*).+$/i
const secretKeyAlone = /(?:token|password|secret)\w*["']?\s*:\s*[|>]?[-+]?\s*$/i
export const userInfo = /\/\/[^/?#@\s]+@/g
const widestFrame = 100

/** The line of a place with its number, and a caret below; nothing for an empty line. */
export function codeFrame (lines: readonly string[], { line, column }: Place): string | undefined {
  if (lines[line - 1] === undefined || lines[line - 1] === '') return undefined
  const number = String(line)
  const before = lines[line - 2] ?? ''
  const text = secretKeyAlone.test(before)
    ? '***'
    : lines[line - 1]!.replaceAll('\t', ' ').replace(secretOnLine, '$1***').replaceAll(userInfo, match => `//${'*'.repeat(match.length - 3)}@`)
  // A window around the place, so that a long line does not fill the screen.
  const from = column <= widestFrame ? 0 : column - widestFrame / 2
  const window = text.slice(from, from + widestFrame)
  const caret = ' '.repeat(Math.max(0, Math.min(column - 1 - from, window.length)))
  return `  ${number} | ${window}\n  ${' '.repeat(number.length)} | ${caret}^`
}

/** JSON pointer → the path as an operator writes it: /upstreams/catalog/endpoints/0 → upstreams.catalog.endpoints[0] */
export function toPath (segments: readonly string[], isIndex: (depth: number) => boolean = () => false): string {
  let path = ''
  for (const [depth, segment] of segments.entries()) {
    if (isIndex(depth)) path += `[${segment}]`
    else {
      const key = /^[\w-]+$/.test(segment) ? segment : JSON.stringify(segment.length > 80 ? `${segment.slice(0, 80)}…` : segment)
      path += path === '' ? key : `.${key}`
    }
  }
  return path
}

/** '/prefixes/~1legacy~1*' → ['prefixes', '/legacy/*'] */
export function fromPointer (pointer: string): string[] {
  return pointer === '' ? [] : pointer.slice(1).split('/').map(segment => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
}
