// Outage copies: requests of a message whose answers are fetched on a schedule and kept on disk, for when nothing else is left to give.
import { Type } from 'typebox'
import { lifetimeMs, section } from './kit.ts'

type Scalar = string | number | boolean
/** Properties of the request DTO. */
export type OutageProperties = Readonly<Record<string, Scalar | readonly Scalar[]>>
/** A query string, a path with query that begins with a slash, or properties. What it may be is checked by `rules-outage.ts`. */
export type OutageRequest = string | OutageProperties

export const mostOutageRequests = 200

export const Outage = section({
  requests: Type.Array(Type.Unsafe<OutageRequest>({ description: 'A request.' }), {
    maxItems: mostOutageRequests,
    default: [],
    description: 'Requests of this message, each as a query string (Id=5&Lang=de), as properties ({ Id: 5 }), or as a path with query that begins with a slash, for another form or a path of its own (/xml/reply/GetOrder?Id=5). They are fetched as somebody without identity would fetch them. Only for messages and prefixes (paths only); needs dataDirectory.'
  }),
  everyMs: Type.Integer({ minimum: 1_000, maximum: 86_400_000, default: 300_000, description: 'How often each is fetched, about. Milliseconds.' }),
  maxAgeMs: lifetimeMs('Oldest copy that is given out, by its Age.', 86_400_000),
  hosts: Type.Array(Type.String({ pattern: '^https?://[^/?#\\s]+$' }), {
    maxItems: 8,
    default: [],
    description: 'Scheme and host as clients write them (https://api.example.com), for services that make links from the host, or answer by it: each request is fetched for each of them, and its copy given out there only. Empty: fetched once, under the gateway\'s own address, and given out under every host.'
  })
}, 'Copies for an outage: chosen requests, fetched on a schedule within cache.background and kept on disk. Given out last of all, when the service cannot answer and neither a stored nor a degraded answer stands in, with Age and marked in Cache-Status (detail=outage-copy). Not to requests that carry an identity (but where the service says public or s-maxage, or identity.mode is shared), a header or cookie of key.headers or key.cookies, what the answer names in Vary, or a cookie that is neither known nor in key.inertCookies (\'*\' there: all but those that carry an identity): it may be a session.')
