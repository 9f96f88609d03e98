// Cache-Control as it is meant: directives by name in any letter case, conflicts settled in favour of caution (RFC 9111 sections 4.2.1, 5.2). Pure.
import { deltaSeconds, isFieldName, isToken, listMembers, trimmed, unquote, withParameters } from './field-syntax.ts'

/** What an answer's Cache-Control says. Seconds; undefined = not said; `unreadable` = said, but no number. */
export interface ResponseDirectives {
  readonly maxAgeS: Seconds
  readonly sMaxAgeS: Seconds
  readonly staleWhileRevalidateS: Seconds
  readonly staleIfErrorS: Seconds
  readonly noStore: boolean
  readonly noCache: Fields
  readonly private: Fields
  readonly public: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly immutable: boolean
}
export type Seconds = number | 'unreadable' | undefined
/** A directive that may be limited to fields: not said; said of the whole answer; said of these fields (lower-case). */
export type Fields = false | true | readonly string[]

/** What a request's Cache-Control (or Pragma) asks. */
export interface RequestDirectives {
  readonly noCache: boolean
  readonly noStore: boolean
  readonly onlyIfCached: boolean
  readonly maxAgeS: number | undefined
  readonly minFreshS: number | undefined
  /** Infinity: any staleness (RFC 9111 section 5.2.1.2); cache.stale.maxMs ends that, too. */
  readonly maxStaleS: number | undefined
  readonly staleIfErrorS: number | undefined
}

/** One directive as written: its name in lower case, and its argument with quotes resolved. */
export interface Directive {
  readonly name: string
  /** undefined = none; null = one that says nothing: with space about its equals sign (RFC 9111 section 5.2), or of a type that no directive has. */
  readonly argument: string | undefined | null
}

/** One as every reader can take it; `spaced`: but for space about its equals sign, which some put up with. */
export interface Written {
  readonly name: string
  readonly argument: string | undefined
  readonly spaced: boolean
}

/** A member of a list as a directive: a name, and behind an equals sign nothing, a token or a quoted string; undefined for what is none. */
export function readDirective (member: string): Written | undefined {
  const equals = member.indexOf('=')
  if (equals === -1) return isToken(member) ? { name: member.toLowerCase(), argument: undefined, spaced: false } : undefined
  const before = member.slice(0, equals)
  const behind = member.slice(equals + 1)
  const name = trimmed(before)
  const text = trimmed(behind)
  const argument = text === '' || isToken(text) ? text : unquote(text)
  if (!isToken(name) || argument === undefined) return undefined
  return { name: name.toLowerCase(), argument, spaced: name !== before || text !== behind }
}

/** Outside of quotes, what keeps an answer to one client, or out of caches, is meant as such wherever it stands: `private|max-age=5`, `max-age=5|private`, `no_store`. */
const resembles = /private|no[^a-z]*(?:store|cache)/i
const keeping: ReadonlySet<string> = new Set(['private', 'no-store', 'no-cache'])

/**
 * Directives of one line, in order. A member that is none (words without a comma between them, semicolons, a quoted string that does not
 * end) may hide any: other readers look for the words that they know anywhere in it. So it says that the whole is for one client.
 */
export function parseDirectives (value: string): Directive[] {
  return listMembers(value).map(member => {
    const directive = readDirective(member)
    if (directive === undefined || (!keeping.has(directive.name) && isMeantForOne(member))) return forOne
    return directive.spaced ? { name: directive.name, argument: null } : directive
  })
}

const isMeantForOne = (text: string): boolean => resembles.test(text.includes('"') ? text.slice(0, text.indexOf('"')) : text)

/**
 * Of a targeted field, which has a grammar of its own (RFC 9213 section 2.1). `dictionary`: as read by that; undefined: it is none. Then it counts for
 * nothing, as the RFC has it, but that what it keeps to one client, or out of caches, is not kept for others; nor is what a parameter keeps so.
 */
export function targetedDirectives (value: string, dictionary: readonly Directive[] | undefined): readonly Directive[] {
  if (dictionary === undefined) return parseDirectives(value).filter(({ name }) => keeping.has(name))
  const isMeant = listMembers(value).some(member => {
    const [own = '', ...parameters] = withParameters(member)
    return parameters.some(isMeantForOne) || (isMeantForOne(own) && !keeping.has(readDirective(own)?.name ?? ''))
  })
  return isMeant ? [...dictionary, forOne] : dictionary
}
const forOne: Directive = { name: 'private', argument: undefined }

/** Whether browsers are told a lifetime, as all of them read it. */
export const saysMaxAge = (directives: readonly Directive[]): boolean => directives.some(({ name, argument }) => name === 'max-age' && argument !== null)

/** Of directives said more than once the first number counts (RFC 9111 section 4.2.1), and the widest restriction. */
export function responseDirectives (directives: readonly Directive[]): ResponseDirectives {
  const flags = new Set<string>()
  const seconds = new Map<string, Seconds>()
  const fields = new Map<string, Fields>()
  for (const { name, argument } of directives) {
    switch (name) {
      case 'max-age': case 's-maxage': case 'stale-while-revalidate': case 'stale-if-error':
        if (!seconds.has(name)) seconds.set(name, deltaSeconds(argument ?? '') ?? 'unreadable')
        break
      case 'no-cache': case 'private':
        fields.set(name, widest(fields.get(name) ?? false, fieldNames(argument)))
        break
      default: flags.add(name)
    }
  }
  return {
    maxAgeS: seconds.get('max-age'),
    sMaxAgeS: seconds.get('s-maxage'),
    staleWhileRevalidateS: seconds.get('stale-while-revalidate'),
    staleIfErrorS: seconds.get('stale-if-error'),
    noStore: flags.has('no-store'),
    noCache: fields.get('no-cache') ?? false,
    private: fields.get('private') ?? false,
    public: flags.has('public'),
    mustRevalidate: flags.has('must-revalidate'),
    proxyRevalidate: flags.has('proxy-revalidate'),
    mustUnderstand: flags.has('must-understand'),
    immutable: flags.has('immutable')
  }
}

/** The argument of no-cache and private: names of fields; anything that is not purely that means the whole answer. */
function fieldNames (argument: Directive['argument']): Fields {
  if (argument === undefined || argument === null) return true
  const names = listMembers(argument)
  return names.length > 0 && names.every(isFieldName) ? names.map(name => name.toLowerCase()) : true
}

const widest = (a: Fields, b: Fields): Fields => a === true || b === true ? true : a === false ? b : b === false ? a : [...a, ...b]

export const nothingSaid: ResponseDirectives = responseDirectives([])
export const nothingAsked: RequestDirectives = requestDirectives(undefined, undefined)

/** Pragma counts where there is no Cache-Control (RFC 9111 section 5.4). What is no number is not asked. */
export function requestDirectives (cacheControl: string | undefined, pragma: string | undefined): RequestDirectives {
  const asked = new Map<string, Directive['argument']>()
  for (const { name, argument } of parseDirectives(cacheControl ?? '')) if (!asked.has(name)) asked.set(name, argument)
  if (cacheControl === undefined && pragma !== undefined && parseDirectives(pragma).some(({ name }) => name === 'no-cache')) asked.set('no-cache', undefined)
  const number = (name: string) => asked.has(name) ? deltaSeconds(asked.get(name) ?? '') : undefined
  return {
    noCache: asked.has('no-cache'),
    noStore: asked.has('no-store'),
    onlyIfCached: asked.has('only-if-cached'),
    maxAgeS: number('max-age'),
    minFreshS: number('min-fresh'),
    maxStaleS: asked.has('max-stale') && asked.get('max-stale') === undefined ? Infinity : number('max-stale'),
    staleIfErrorS: number('stale-if-error')
  }
}
