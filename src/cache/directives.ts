// Cache-Control as it is meant: directives by name in any letter case, conflicts settled in favour of caution (RFC 9111 sections 4.2.1, 5.2). Pure.
import { deltaSeconds, endsQuoted, isToken, listMembers, unquote } from './field-syntax.ts'

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
  /** undefined = none; null = one that is neither token nor quoted string. */
  readonly argument: string | undefined | null
}

/**
 * Directives of one line, in order. A name that is no token is passed over: `max-age =1` says nothing (RFC 9111 section 5.2). A quoted
 * string that does not end may hide any directive, so the whole is taken to be for one client.
 */
export function parseDirectives (value: string): Directive[] {
  const directives: Directive[] = []
  if (endsQuoted(value)) directives.push({ name: 'private', argument: undefined })
  for (const member of listMembers(value)) {
    const equals = member.indexOf('=')
    const name = equals === -1 ? member : member.slice(0, equals)
    if (!isToken(name)) continue
    const text = equals === -1 ? undefined : member.slice(equals + 1)
    directives.push({ name: name.toLowerCase(), argument: text === undefined ? undefined : isToken(text) ? text : unquote(text) ?? null })
  }
  return directives
}

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
  return names.length > 0 && names.every(isToken) ? names.map(name => name.toLowerCase()) : true
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
