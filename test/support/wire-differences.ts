// The recorded cases whose answer through the gateway rightly differs from the host's own, and what is expected instead. Also docs/WIRE-DIFFERENCES.md.
import type { Generation } from './recordings.ts'

export type Expected =
  /** A local reply of the gateway. */
  | { readonly kind: 'local', readonly status: number, readonly errorCode: string }
  /** As the host answers another recorded case. */
  | { readonly kind: 'as', readonly name: string }
  /** As the host answers it, but for the body, which tells the headers the host saw. */
  | { readonly kind: 'body', readonly matches: readonly RegExp[], readonly lacks: readonly RegExp[] }

export interface Difference {
  readonly generation: Generation | 'both'
  readonly expected: Expected
  readonly why: string
}

const notFound = (why: string, generation: Difference['generation'] = 'both'): Difference => ({ generation, expected: { kind: 'local', status: 404, errorCode: 'MessageNotFound' }, why })
const as = (name: string, why: string, generation: Difference['generation'] = 'both'): Difference => ({ generation, expected: { kind: 'as', name }, why })

const unknown = 'A message that no service lists is answered by the gateway itself; the host would say 405.'
const page = 'A description page, not a message: never routed unless a prefix route says so.'
const restricted = 'Restricted to internal callers: hidden. The host itself would execute it for anybody behind a gateway.'
const internal = 'An internal message of the discovery plugin: refused.'
const apiForm = '5.2.0 hosts know no /api: the call is sent as /{format}/reply/.'

/** By case name, `{host}/{case}`. What is not here must come back as recorded. */
export const wireDifferences: Readonly<Record<string, Difference>> = {
  'catalog/reply-head': as('catalog/reply-get', 'HEAD is answered from the answer to GET, without its body; the host alone refuses HEAD.'),
  'catalog/reply-override-header': as('catalog/reply-post-on-get', 'A stranger\'s X-HTTP-Method-Override is removed, so the POST stays a POST.'),
  'catalog/unknown-dto': notFound(unknown),
  'catalog/unknown-dto-post': notFound(unknown),
  'catalog/api-unknown': notFound(unknown),
  'catalog/api': as('catalog/reply-get', apiForm, '5.2.0'),
  'catalog/api-json-suffix': as('catalog/reply-get', apiForm, '5.2.0'),
  'catalog/api-xml-suffix': as('catalog/xml-reply', apiForm, '5.2.0'),
  'catalog/custom-route': notFound('RESTful paths are routed only where customRoutes is on for the service.'),
  'catalog/restricted': notFound(restricted),
  'catalog/restricted-forwarded': notFound(restricted),
  'catalog/types-metadata': notFound(page),
  'catalog/types-metadata-json': notFound(page),
  'catalog/metadata-app': notFound(page),
  'catalog/metadata-page': notFound(page),
  'catalog/json-metadata': notFound(page),
  'catalog/operations-metadata': notFound(page),
  'catalog/heartbeat': notFound(internal),
  'catalog/healthcheck': notFound(internal),
  'catalog/get-services': notFound(internal),
  'catalog/event-stream-head': notFound('Server events are no message: a prefix route may carry them.'),
  'catalog/soap-get': notFound('SOAP names its message in the body: not routed. The host answers 404 too, without a responseStatus.'),
  'orders/post-chunked': as('orders/post', 'The chunked body is gathered and sent with its Content-Length; the host alone reads it as empty (10.1.5) or refuses it (5.2.0).'),
  'orders/post-api': as('orders/post', apiForm, '5.2.0'),
  'orders/post-text-plain': as('orders/post-text-plain-reply', apiForm, '5.2.0'),
  'orders/headers-seen': {
    generation: 'both',
    expected: {
      kind: 'body',
      matches: [/"X-Forwarded-For: 127\.0\.0\.1"/i, /"X-Forwarded-Proto: http"/i, /"X-Forwarded-Host: catalog\.test"/i, /"remoteIp":"127\.0\.0\.1"/],
      lacks: [/203\.0\.113\.9/, /0af7651916cd43dd8448eb211c80319c/, /"baseUrl":"https/]
    },
    why: 'What a stranger says of client address, scheme, host and trace is replaced by what the gateway knows.'
  },
  'orders/types-metadata': notFound(page),
  'orders/auth-missing': notFound('GetAccessToken is never in Consul: YAML has to say which service answers it.'),
  'orders/authenticate': notFound('Authenticate is never in Consul: YAML has to say which service answers it.')
}

/** The difference of a case for a generation, if any. */
export function differenceOf (name: string, generation: Generation): Difference | undefined {
  const difference = wireDifferences[name]
  return difference === undefined || (difference.generation !== 'both' && difference.generation !== generation) ? undefined : difference
}

/** The text of docs/WIRE-DIFFERENCES.md. */
export function renderWireDifferences (cases: number): string {
  const rows = Object.entries(wireDifferences).map(([name, { generation, expected, why }]) => {
    const what = expected.kind === 'local' ? `${expected.status} \`${expected.errorCode}\`` : expected.kind === 'as' ? `as \`${expected.name}\`` : 'as recorded, other headers seen'
    return `| \`${name}\` | ${generation} | ${what} | ${why} |`
  })
  return `<!-- Generated from test/support/wire-differences.ts by test/scenarios/wire-replay.test.ts (UPDATE_DOCS=1). -->
# Where an answer through Postern differs from the service's own

All ${cases} recorded calls of two real hosts, on ServiceStack 10.1.5 and 5.2.0 each (\`test/fixtures/recordings/\`), are sent through the gateway with its defaults by
\`test/scenarios/wire-replay.test.ts\`, each with nothing stored of the others. Status, reason phrase, headers in order and letter case, and body come back as recorded, but for:

- on every answer: hop-by-hop headers (\`Connection\`, \`Transfer-Encoding\`, \`Keep-Alive\`) are the gateway's own, the framing of a body may change
  (a short one gets a \`Content-Length\` where it had none), and \`Via\`, \`x-mac-requestId\`, \`Cache-Status\` and, with what was stored, \`Age\` are added;
- \`Expect: 100-continue\` is answered by the gateway with \`100 Continue\` before the body is read;
- these cases:

| case | host | expected | why |
| --- | --- | --- | --- |
${rows.join('\n')}
`
}
