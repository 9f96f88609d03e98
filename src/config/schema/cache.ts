// What may be reused, how long, and by whom: the cache's part of a policy.
import { Type } from 'typebox'
import { cacheWorkFields } from './cache-work.ts'
import { flag, lifetimeMs, names, oneOf, section } from './kit.ts'
import { Outage } from './outage.ts'

const lifetimes = section({
  successMs: lifetimeMs('200, 203 and 204.', 0),
  redirectMs: lifetimeMs('300, 301, 302, 303, 307 and 308.', 0),
  negativeMs: lifetimeMs('The statuses of negativeStatuses.', 0)
}, 'Lifetimes of your own, by kind of answer. With mode honour they hold where the origin says none; with override, in place of what it says. 0 = none of your own.')

const key = section({
  ignoreQuery: names('Query keys that do not tell one answer from another (* matches anything), such as utm_*.', []),
  headers: names('Request headers whose value tells one answer from another although the origin does not name them in Vary.', []),
  cookies: names('Cookies whose value tells one answer from another.', []),
  unkeyedHeaders: oneOf(['messages', 'always', 'never'], 'always', 'Where a request header that the cache knows nothing of, and that Vary does not name, tells one answer from another all the same, so that nobody can shape the answer of others with it: always; on message routes only (below a prefix only Vary counts then, so that more is shared: for services whose Vary is complete); or never (as HTTP itself has it: only Vary counts). Headers by which a proxy says another host, path or method (X-Original-URL, X-Forwarded-Prefix and their kin), or where and with what device the client is (CF-IPCountry, CloudFront-Is-Mobile-Viewer), do on prefix routes too, unless it is never; what CDNs and balancers write anew for each request (CF-Ray, X-Azure-Ref) does not, from a trusted proxy. On RESTful paths a Content-Type always does, and below a prefix unless it is never: by it hosts choose the format of an answer to */*.'),
  plainFills: oneOf(['messages', 'always', 'never'], 'messages', 'Where a service that is asked for what everybody may get is not told what the client that came first says of himself (User-Agent, Referer, cookies of analytics): these tell no answers apart, so they must not shape one either. It is told User-Agent: postern (cache). What it names in Vary it is told. messages: on message routes and RESTful paths; always: below a prefix too, where old systems may look at them without saying so. What he says of his one request (X-Request-Id and its kin, baggage, client hints, DNT, Early-Data and the like) goes nowhere; with never all of it goes everywhere, as HTTP has it. What passes the cache by goes as it was sent.'),
  inertHeaders: names('Request headers that never shape an answer (* matches anything), beside those the cache knows (User-Agent, tracing, client hints, and the like; Sec-Fetch-Site, -Mode and -Dest do: a service may refuse by them).', []),
  inertCookies: names('The same for cookies (* matches anything), beside those of analytics and balancers that the cache knows.', [])
}, 'What tells one answer from another, beside scheme, host, path and query.')

const identity = section({
  mode: oneOf(['pass', 'shared', 'perIdentity'], 'pass', 'Requests that carry an identity (Authorization, an API key, X-ss-*, a session cookie, whom a proxy in front found out to be asking: X-Amzn-Oidc-*, Cf-Access-*, X-Forwarded-User and the like): pass by unless the origin says public or s-maxage; or shared: answers are the same for everybody; or perIdentity: each identity has answers of its own.'),
  headers: names('Further request headers that carry an identity.', []),
  cookies: names('Further cookies that carry an identity (* matches anything).', [])
}, 'Whose answer it is.')

const stale = section({
  whileRevalidateMs: lifetimeMs('How long past its end an answer is given on while it is refreshed, where the origin does not say (stale-while-revalidate).', 0),
  ifErrorMs: lifetimeMs('How long past its end an answer is given on when the origin cannot answer, where the origin does not say (stale-if-error).', 0),
  maxMs: lifetimeMs('Most of both that the origin is believed, and of what a client asks for by max-stale or stale-if-error: with a max-stale that names no time it would be whatever is stored.', 86_400_000)
}, 'Answers past their end (RFC 5861). Never those that say must-revalidate, proxy-revalidate, s-maxage or no-cache.')

const guard = section({
  maxStoredMs: lifetimeMs('Longest lifetime in this cache, whatever the origin says.', 86_400_000),
  maxClientMs: lifetimeMs('Longest lifetime that a browser or a cache further out is told, whatever the origin says: no purge reaches them. What is longer, or could be taken for "never", is cut, and what cannot be read is replaced by no-store (public; max-age=31536000), and an alarm names the service; where a service says nothing and browsers would keep its answer longer by a guess (an old Last-Modified) or for ever (300, 301, 308, 410), they are told this.', 86_400_000),
  clientMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_648_000, description: 'How long clients are told to keep an answer, in place of what the origin says, counted from when they get it. Left out: as the origin says. Milliseconds.' }))
}, 'No answer outlives this, here or further out.')

export const cacheFields = {
  mode: oneOf(['honour', 'override', 'off'], 'honour', 'honour: store what the origin says may be stored, as long as it says. override: your own lifetimes hold in place of the origin\'s; what it marks private or no-store, or so that nobody can read it (directives with a semicolon or a space between them), is never stored all the same. off: store nothing.'),
  lifetimes,
  negativeStatuses: Type.Array(Type.Integer({ minimum: 400, maximum: 599 }), { default: [404, 410], description: 'Statuses that lifetimes.negativeMs is for.' }),
  heuristic: oneOf(['prefixes', 'always', 'never'], 'prefixes', 'Where an answer without any stated lifetime is reused for a tenth of its age by Last-Modified (RFC 9111 section 4.2.2): on prefix routes, always, or never.'),
  heuristicMaxMs: lifetimeMs('Longest lifetime that is guessed so.', 3_600_000),
  methods: Type.Array(oneOf(['POST', 'QUERY'], 'POST', 'A method.'), { default: [], description: 'Methods beside GET and HEAD whose answers may be reused, for messages whose effect is safe. The body is part of the key, JSON in one spelling: space and the order of members do not count. A lifetime, the origin\'s or your own, is needed.' }),
  normalizeAccept: flag('On message routes the format comes from the path, and hosts say Vary: Accept without regard to it: Accept then tells no answers apart, and a service is asked for what others may get by the Accept of that format (application/json for /json/reply/X), whatever the client sent. false: for services that choose by Accept all the same.', true),
  clientDirectives: oneOf(['everybody', 'trusted', 'nobody'], 'everybody', 'Whose Cache-Control on requests counts (no-cache, max-age, only-if-cached …). Not everybody\'s: strangers cannot make the gateway ask the origin. trusted: what trusted proxies send, so also what they pass on.'),
  setCookie: oneOf(['pass', 'strip', 'store'], 'pass', 'An answer with Set-Cookie: pass does not store it (a cookie is mostly somebody\'s); strip stores it without; store keeps the cookie for everybody, as HTTP itself has it.'),
  tagHeaders: names('Headers by which the origin names tags for purging. They do not leave the gateway.', ['Cache-Tag', 'Surrogate-Key']),
  key,
  identity,
  stale,
  guard,
  ...cacheWorkFields,
  outage: Outage
}
export const Cache = section(cacheFields, 'Stored answers (RFC 9111). One range of bytes (Range) is answered from what is stored whole; where nothing fresh is, such a request goes to the service as it came, and its answer is not stored, neither a part nor the whole.')
