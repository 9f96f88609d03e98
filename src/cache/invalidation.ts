// What an answer to a write makes wrong of what is stored (RFC 9111 section 4.4). Pure.
import { fieldValues } from './field-syntax.ts'

/** RFC 9110 section 9.2.1 and the registry of methods. A method that is not known may write; so may GET and HEAD, of which `safe` tells. */
const safeMethods: ReadonlySet<string> = new Set(['OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'])

/** Whether a request may have changed something; `safe`: whether its effect is. */
export const mayWrite = (method: string, safe: boolean): boolean => !safe && !safeMethods.has(method)

export interface Written {
  readonly method: string
  /** Whether its effect is `safe`: it only reads, whatever its method. */
  readonly safe: boolean
  /** Path and query as sent upstream. */
  readonly target: string
  /** Authority that the client used; and the endpoint's: either may be named in an answer. */
  readonly authorities: readonly string[]
  /** Path of the endpoint that stands before it in what the service writes; empty where there is none. */
  readonly basePath: string
}

/** Targets (path and query) of which nothing stored may be used again. Empty: the answer wrote nothing, or failed. */
export function invalidates ({ method, safe, target, authorities, basePath }: Written, status: number, headers: readonly string[]): readonly string[] {
  if (!mayWrite(method, safe) || status < 200 || status > 399) return nothing
  const targets = new Set([target])
  for (const name of ['location', 'content-location']) {
    for (const value of fieldValues(headers, name)) {
      const named = sameOrigin(value, target, authorities, basePath)
      if (named !== undefined) targets.add(named)
    }
  }
  return [...targets]
}
const nothing: readonly string[] = []

/** RFC 9111 section 4.4: of another origin nothing is thrown away, or anybody could empty anybody's cache. */
function sameOrigin (value: string, target: string, authorities: readonly string[], basePath: string): string | undefined {
  const base = `http://${authorities[0] ?? 'postern.invalid'}`
  const url = URL.parse(value, URL.parse(target, base) ?? base)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  const isOwn = [base.slice(7), ...authorities].some(authority => url.host === authority.toLowerCase())
  return isOwn ? `${below(basePath, url.pathname)}${url.search}` : undefined
}

/** Clients, and so what is stored, know nothing of a base path. */
function below (basePath: string, path: string): string {
  return basePath !== '' && path.toLowerCase().startsWith(`${basePath.toLowerCase()}/`) ? path.slice(basePath.length) : path
}
