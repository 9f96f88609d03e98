// How Kestrel and ServiceStack read a path, leniencies included: which message a request target reaches. Pure; proven by paths.json.
import type { Generation } from './recordings.ts'

export type HostPath =
  | { readonly kind: 'message', readonly form: 'reply' | 'oneway' | 'api', readonly format: string, readonly name: string, readonly batch: boolean }
  /** The list of /api (10.1.5). */
  | { readonly kind: 'api-index' }
  | { readonly kind: 'other', readonly path: string }
  /** Answered by the server before any of it: status with an empty body. */
  | { readonly kind: 'refused', readonly status: 400 | 404 | 500 }

/** Those with an extension: /products/1.json, /api/X.csv. */
export const formats: ReadonlySet<string> = new Set(['json', 'xml', 'jsv', 'csv', 'html', 'jsonl'])

/** What a target (path and query, or absolute form) is for a host below `basePath` ('' or '/sub/api'). */
export function readPath (target: string, basePath: string, generation: Generation): HostPath {
  const raw = target.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)[0]!
  if (/%(?![0-9a-fA-F]{2})/.test(raw)) return { kind: 'refused', status: 500 }
  const path = kestrelPath(raw)
  if (path === undefined) return { kind: 'refused', status: 400 }
  if (basePath !== '' && path !== basePath && !path.startsWith(`${basePath}/`)) return { kind: 'refused', status: 404 }
  const below = path.slice(basePath.length)
  // NetCoreRequest.cs: '+' becomes a space and %2f a slash, after Kestrel has taken the dot segments out.
  const info = below.replaceAll('+', ' ').replaceAll(/%2f/gi, '/')

  if (generation === '10.1.5' && /^\/+api(\/|$)/i.test(info)) return readApi(info)
  const segments = info.replace(/^\/+/, '').replace(/\/+$/, '').split('/')
  const form = segments[1]?.toLowerCase()
  const format = segments[0]!.toLowerCase()
  if ((form === 'reply' || form === 'oneway') && formats.has(format) && segments[2] !== undefined && segments[2] !== '') {
    return { kind: 'message', form, format, ...unbatched(segments[2]) } // Segment 3 only: what follows is not read.
  }
  return { kind: 'other', path: `/${segments.join('/')}` }
}

/** Percent escapes decoded but %2f, then dot segments taken out. Undefined: the server refuses it. */
function kestrelPath (raw: string): string | undefined {
  const decoded = raw.replaceAll(/(?:%[0-9a-fA-F]{2})+/g, run => {
    const keep = run.split(/(%2[fF])/)
    return keep.map(part => /^%2[fF]$/.test(part) ? part : decode(part)).join('')
  })
  if (decoded.includes('\0') || !decoded.startsWith('/')) return undefined
  const out: string[] = []
  for (const [index, segment] of decoded.split('/').entries()) {
    if (index === 0 || segment === '.') continue
    if (segment === '..') out.pop()
    else out.push(segment)
  }
  return `/${out.join('/')}`
}

function decode (run: string): string {
  if (run === '') return ''
  try {
    return decodeURIComponent(run)
  } catch {
    return run // Not UTF-8: Kestrel leaves it as it is.
  }
}

function readApi (info: string): HostPath {
  const last = info.slice(info.lastIndexOf('/') + 1)
  if (last === '' || /^\/+api$/i.test(info)) return { kind: 'api-index' }
  const dot = last.indexOf('.')
  const { name, batch } = unbatched(dot < 0 ? last : last.slice(0, dot))
  const extension = dot < 0 ? 'json' : last.slice(dot + 1).toLowerCase()
  return { kind: 'message', form: 'api', format: formats.has(extension) ? extension : 'html', name, batch }
}

/** Anything from the last `[` on is cut off the name (ServiceMetadata.GetOperationType). */
function unbatched (segment: string): { name: string, batch: boolean } {
  const bracket = segment.lastIndexOf('[')
  return bracket < 0 ? { name: segment, batch: false } : { name: segment.slice(0, bracket), batch: true }
}

const segmentsOf = (path: string) => path.toLowerCase().split('/').filter(segment => segment !== '')
const isWildcard = (segment: string | undefined) => segment?.startsWith('{') === true && (segment[1] === '*' || segment.at(-2) === '*')

/**
 * Whether a RESTful path is one of a template (RestPath.IsMatch): a place takes one segment, also beyond the end where a wildcard follows that ends
 * the template; dots part segments only where the template has them beside a place.
 */
export function matchesRoute (template: string, path: string): boolean {
  const written = segmentsOf(template)
  const given = segmentsOf(path)
  const hasWildcard = written.some(segment => segment.split('.').some(isWildcard))
  if (written.length !== given.length && !hasWildcard) return false
  const splits = (index: number) => written[index]?.includes('{') === true && written[index].includes('.')
  const places = written.flatMap((segment, index) => splits(index) ? segment.split('.') : [segment])
  const parts = places.length === written.length ? given : given.flatMap((segment, index) => splits(index) ? segment.split('.') : [segment])
  if (places.length !== parts.length && !hasWildcard) return false
  let at = 0
  for (const [index, place] of places.entries()) {
    if (isWildcard(place)) {
      const literal = places[index + 1]
      if (literal === undefined) at = parts.length
      else while (at < parts.length && parts[at] !== literal) at++
    } else if (place.startsWith('{')) at++
    else if (parts[at++] !== place) return false
  }
  return at === parts.length
}
