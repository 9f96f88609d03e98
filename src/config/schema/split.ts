// How the traffic of a message is split between versions, groups of endpoints, or two services.
import { Type } from 'typebox'
import { ms, object, oneOf, section, text } from './kit.ts'

const Target = object({
  version: Type.Optional(text('Pattern of the endpoint\'s version (its ss-version tag, else version in its Meta or in a services file), e.g. 2.*')),
  tag: Type.Optional(text('A tag of the registration.')),
  meta: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Keys and values of the registration\'s Meta.' })),
  upstream: Type.Optional(text('Another upstream, which has the message too. Named here, its claim to the name is no conflict. One of ServiceStack hosts gets only messages that it has for outside callers, and nothing of a prefix: for the others the part has no endpoint.'))
}, { description: 'The endpoints of the part: where several are given, all must hold.' })

const When = object({
  header: Type.Optional(text('Name of a request header.')),
  cookie: Type.Optional(text('Name of a cookie.')),
  query: Type.Optional(text('Name of a query value.')),
  property: Type.Optional(text('Name of a top-level property of the message, from the query or from a JSON body up to 64 KB, in any letter case.')),
  value: Type.Optional(text('Pattern that its value must match (* matches anything). Left out: it must be there.')),
  orRest: Type.Optional(Type.Boolean({ description: 'Whether its calls go to the rest where those of a share would: for trying something out. Left out, they get this part or an error (502, 503): who asks for a version gets no other.' }))
}, { description: 'Which calls go there, whatever their share: exactly one of header, cookie, query and property.' })

const Part = object({
  name: text('Name of the part in logs, metrics and /api/splits.'),
  to: Target,
  percent: Type.Optional(Type.Integer({ minimum: 0, maximum: 100, description: 'Share of the calls that no condition has taken. While none of its endpoints may be called, or a breaker of the upstream it names (its own, or the message\'s there) is open or held open, they go to the rest; those of a condition only with its orRest.' })),
  when: Type.Optional(When)
}, { description: 'A part of the traffic.' })

export const Split = section({
  parts: Type.Array(Part, { default: [], description: 'Parts that go to chosen endpoints: canary, blue/green, pinned versions. Conditions are asked in order, then shares are drawn; the rest goes to endpoints that belong to no part. A part without endpoints leaves its share to the rest, and calls of a condition only with its orRest; the others of those are answered 503.' }),
  by: oneOf(['call', 'caller'], 'call', 'Whether shares are drawn for each call, or by session (ss-pid, else ss-id, as X- header or cookie), else client address, so that a caller stays in its part.'),
  versions: oneOf(['all', 'highest', 'lowest'], 'all', 'Which versions get what no part has taken: all, by endpoint; or only the highest or lowest one; while none of its endpoints may be called, the next.'),
  takeoverMs: ms('With highest or lowest: how long a new version takes to take over from the one before it, its share growing from 5 percent to all. Versions that were found together have nothing to take over.', 30_000, 0)
}, 'How calls are split between versions, groups of endpoints, or two services.')
