// What a fill asks an origin: the first client's request as a GET of the whole, with validators where something is stored, and nothing in it that must shape no answer. Pure.
import { anew } from '../exchange/anew.ts'
import type { Exchange } from '../exchange/exchange.ts'
import { validatorHeaders, withoutConditions } from './conditional.ts'
import type { CacheRules } from './rules.ts'
import type { Stored } from './stored.ts'

export function question (client: Exchange, previous: Stored | undefined, rules: CacheRules, told: ReadonlySet<string> | undefined): Exchange {
  const { upstreamRequest } = client
  const headers = withoutConditions(rules.forAll.headers(upstreamRequest.headers, client, told))
  if (previous !== undefined) headers.push(...validatorHeaders(previous.head))
  const method = upstreamRequest.method === 'HEAD' ? 'GET' : upstreamRequest.method
  return anew(client, { ...upstreamRequest, method, headers })
}
