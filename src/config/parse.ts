// The text of postern.yaml, and what the command line says over it, as a configuration with every default filled in; or everything wrong with it.
import { resolve as resolvePath } from 'node:path'
import { parseConfigDocument, type ConfigDocument } from './document.ts'
import { defaultDataDirectory, type Surroundings } from './data-directory.ts'
import { codeFrame, ConfigError, fromPointer, toPath, type Problem } from './problem.ts'
import { rules } from './rules.ts'
import type { RuleInput } from './rule.ts'
import { ConfigSchema, type Config } from './schema.ts'
import { schemaAt, toFinding, type Finding } from './schema-errors.ts'
import { substituteSecrets, toPointer, type ReadSecret } from './secrets.ts'
import { validate } from './validator.ts'

/** What the command line says: wins over the file. */
export interface Overrides {
  readonly listen?: string | undefined
  readonly admin?: string | undefined
  /** Agents of Consul. */
  readonly consul?: readonly string[] | undefined
}

export interface ParseOptions {
  /** The name of the file in messages. */
  readonly file: string
  /** Where relative paths start. */
  readonly directory: string
  readonly overrides?: Overrides
  readonly readSecret: ReadSecret
  /** Reads certificates and keys that settings name, so that wrong ones are mistakes like others. Left out: they are not looked at. */
  readonly readPem?: ((path: string) => string) | undefined
  /** What the default of dataDirectory rests on. Left out: there is none. */
  readonly surroundings?: Surroundings
}

export interface ParsedConfig {
  readonly config: Config
  /** What is allowed, and probably not meant or not wise. */
  readonly warnings: readonly Problem[]
}

/** @throws ConfigError with every mistake at once */
export function parseConfig (text: string, options: ParseOptions): ParsedConfig {
  const document = parseConfigDocument(text)
  const lines = text.split(/\r?\n/)
  if (document.faults.length > 0) {
    const faults = document.faults.map(({ place, message, hint }) => ({ source: options.file, place, path: '', message, hint, frame: codeFrame(lines, place) }))
    const first = faults.reduce((line, { place }) => Math.min(line, place.line), Infinity)
    throw new ConfigError(inOrder([...faults, ...(isSettings(document.value) ? problemsOf(document, document.value, lines, options) : problemsAbove(lines, first, options))]))
  }
  const written = document.value ?? {}
  if (!isSettings(written)) {
    throw new ConfigError([{ source: options.file, place: { line: 1, column: 1 }, path: '', message: 'must hold settings, as "name: value"', hint: 'The shortest configuration is an empty file.', frame: undefined }])
  }
  const { raw, flags, secrets, findings, wrong, config } = readSettings(written, options)
  const input: RuleInput = { config, isWritten: segments => valueAt(raw, segments) !== undefined, isSecret: segments => secrets.has(toPointer(segments)), readPem: options.readPem }
  // What rests on a value that is wrong itself would only repeat it.
  const isSound = ({ segments, because = [] }: Finding) => !wrong.some(one => startsWith(segments, one) || because.some(rests => startsWith(one, rests) || startsWith(rests, one)))
  const found = rules.map(rule => ({ rule, findings: [...rule.check(input)].filter(isSound) }))
  for (const { rule, findings: broken } of found) if (rule.severity === 'error') findings.push(...broken)

  const toProblem = problemMaker({ document, lines, file: options.file, raw, flags })
  if (findings.length > 0) throw new ConfigError(inOrder(findings.map(toProblem)))
  const warnings = found.flatMap(({ rule, findings: doubtful }) => rule.severity === 'warning' ? doubtful : [])
  return { config: absolutePaths(config, options.directory), warnings: inOrder(warnings.map(toProblem)) }
}

/** What is wrong in the sections above the first one that is no YAML: its mistake does not hide theirs. */
function problemsAbove (lines: readonly string[], line: number, options: ParseOptions, tries = 3): Problem[] {
  const end = Math.max(0, lines.slice(0, line).findLastIndex(text => /^[^\s#}\]]/.test(text)))
  const document = parseConfigDocument(lines.slice(0, end).join('\n'))
  // What is left open in one section is often seen only at the next.
  if (document.faults.length > 0) return end === 0 || tries === 1 ? [] : problemsAbove(lines, end, options, tries - 1)
  return isSettings(document.value) ? problemsOf(document, document.value, lines, options) : []
}

/** What the schema finds wrong. What a rule says of the whole file is not asked. */
function problemsOf (document: ConfigDocument, written: object, lines: readonly string[], options: ParseOptions): Problem[] {
  const { raw, flags, findings } = readSettings(written, options)
  return findings.map(problemMaker({ document, lines, file: options.file, raw, flags }))
}

const isSettings = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The settings with secrets and the command line's in place, and what the schema finds wrong in them. `wrong`: where. */
function readSettings (written: object, options: ParseOptions) {
  const { value: withSecrets, secrets, faults } = substituteSecrets(written, options.readSecret)
  const { value: raw, flags } = override(withSecrets as Record<string, unknown>, options.overrides ?? {})
  const { errors, config: valid, removed } = validate(raw)
  const findings: Finding[] = faults.map(fault => ({ ...fault, at: 'value' as const }))
  for (const error of errors) {
    const segments = fromPointer(error.instancePath)
    const isSecret = secrets.has(error.instancePath) || schemaAt(ConfigSchema, segments)?.writeOnly === true
    findings.push(toFinding(error, ConfigSchema, { value: valueAt(raw, segments), isSecret }))
  }
  return { raw, flags, secrets, findings, wrong: [...removed, ...faults.map(fault => fault.segments)], config: withDataDirectory(valid, options.surroundings) }
}

/** The value with the command line's in place, and which pointers those are. */
function override (value: Record<string, unknown>, { listen, admin, consul }: Overrides): { value: Record<string, unknown>, flags: ReadonlyMap<string, string> } {
  const flags = new Map<string, string>()
  const set = (segments: readonly string[], flag: string, given: unknown) => {
    if (given === undefined) return
    flags.set(toPointer(segments), flag)
    let section = value
    for (const segment of segments.slice(0, -1)) {
      const next = section[segment]
      // Where the file has something else than a section here, that is reported as it stands.
      if (next !== undefined && next !== null && (typeof next !== 'object' || Array.isArray(next))) return
      section = (section[segment] = { ...next ?? {} }) as Record<string, unknown>
    }
    section[segments.at(-1)!] = given
  }
  set(['listener', 'address'], '--listen', listen)
  set(['admin', 'address'], '--admin', admin)
  set(['registry', 'consul', 'agents'], '--consul', consul)
  return { value, flags }
}

function withDataDirectory ({ dataDirectory: written, ...rest }: Config, surroundings: Surroundings | undefined): Config {
  const dataDirectory = written ?? (surroundings === undefined ? undefined : defaultDataDirectory(rest.listener.address, surroundings))
  return dataDirectory === undefined || dataDirectory === 'none' ? rest : { ...rest, dataDirectory }
}

function problemMaker ({ document, lines, file, raw, flags }: { document: ConfigDocument, lines: readonly string[], file: string, raw: unknown, flags: ReadonlyMap<string, string> }) {
  return ({ segments, at, message, hint }: Finding): Problem => {
    const isIndex = (depth: number) => Array.isArray(valueAt(raw, segments.slice(0, depth)))
    const path = toPath(segments, isIndex)
    const flag = segments.map((_, depth) => flags.get(toPointer(segments.slice(0, depth + 1)))).find(name => name !== undefined)
    if (flag !== undefined) return { source: flag, place: undefined, path, message, hint, frame: undefined }
    const place = document.placeOf(segments, at)
    return { source: file, place, path, message, hint, frame: codeFrame(lines, place) }
  }
}

function inOrder (problems: readonly Problem[]): Problem[] {
  const byPlace = problems.toSorted((a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0) || (a.place?.column ?? 0) - (b.place?.column ?? 0))
  // One mistake, one sentence: not "must be a URL" behind "must begin with http://", not once more for every use of an anchor.
  const isSame = (a: Problem, b: Problem) => a.source === b.source && ((a.path === b.path && a.path !== '') || (a.place !== undefined && a.message === b.message && a.place.line === b.place?.line && a.place.column === b.place.column))
  return byPlace.filter((problem, index) => byPlace.findIndex(other => isSame(other, problem)) === index)
}

function valueAt (value: unknown, segments: readonly string[]): unknown {
  let part = value
  for (const segment of segments) {
    if (typeof part !== 'object' || part === null || !Object.hasOwn(part, segment)) return undefined
    part = (part as Record<string, unknown>)[segment]
  }
  return part
}

const startsWith = (segments: readonly string[], prefix: readonly string[]) => prefix.length <= segments.length && prefix.every((segment, index) => segments[index] === segment)

/** File settings relative to the directory of the configuration, wherever postern was started. */
function absolutePaths (config: Config, directory: string): Config {
  const walk = (value: unknown, segments: readonly string[]): unknown => {
    if (typeof value === 'string') {
      const isPath = (schemaAt(ConfigSchema, segments) as { format?: string } | undefined)?.format === 'path'
      return isPath && value !== 'stderr' && value !== 'stdout' ? resolvePath(directory, value) : value
    }
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...segments, String(index)]))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, walk(field, [...segments, key])]))
  }
  return walk(config, []) as Config
}
