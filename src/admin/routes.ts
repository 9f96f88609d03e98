// What the admin listener answers: each path once, as text made from what the gateway tells.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { addActions, type AdminAction } from './actions.ts'
import { cachedRows, type CachedName } from './cached-names.ts'
import { endpoints, indexPage } from './index-page.ts'
import { redact } from './redact.ts'
import { json, sendError } from './send.ts'

/** What the admin listener asks of the gateway. */
export interface AdminCore {
  ready (): { readonly ready: boolean, readonly reason: string }
  metricsText (): Promise<string>
  readonly metricsContentType: string
  /** A JSON object as text, made by the control plane: it may be slow to answer, or not answer. */
  describe (what: 'routes' | 'upstreams'): Promise<string>
  /** What operators can do and look at beyond that. */
  readonly actions: readonly AdminAction[]
  /** What only the data plane knows of names. */
  cachedNames (): readonly CachedName[]
  /** What the data plane knows of its upstreams right now. */
  upstreamStates (): readonly unknown[]
  /** The configuration in force; secrets are taken out here. */
  configView (): unknown
  readonly version: string
}

/** After this the control plane counts as not answering. */
const describeTimeoutMs = 2_000

export function addProbes (server: FastifyInstance, core: Pick<AdminCore, 'ready'>): void {
  server.get('/livez', (_request, reply) => reply.type(json).send('{"status":"live"}\n'))
  server.get('/readyz', (_request, reply) => {
    const { ready, reason } = core.ready()
    return reply.code(ready ? 200 : 503).type(json).send(`${JSON.stringify({ status: ready ? 'ready' : 'not ready', reason })}\n`)
  })
}

export function addRoutes (server: FastifyInstance, core: AdminCore): void {
  const metrics = collapse(() => core.metricsText())
  const describe = {
    routes: collapse(() => answerOf(core.describe('routes'))),
    upstreams: collapse(() => answerOf(core.describe('upstreams')))
  }

  server.get('/metrics', async (_request, reply) => reply.type(core.metricsContentType).send(await metrics()))
  server.get('/api/routes', async (_request, reply) => {
    const described = await describe.routes()
    if (!('text' in described)) return notAnswering(reply, described.reason)
    return reply.type(json).send(withMore(described.text, `"cached":${JSON.stringify(cachedRows(core.cachedNames()))}`))
  })
  server.get('/api/upstreams', async (_request, reply) => {
    const described = await describe.upstreams()
    const live = `"live":${JSON.stringify(core.upstreamStates())}`
    return 'text' in described ? reply.type(json).send(withMore(described.text, live)) : notAnswering(reply, described.reason, `,${live}}`)
  })
  server.get('/api/config', (_request, reply) => reply.type(json).send(JSON.stringify(redact(core.configView()), undefined, 2)))
  server.get('/api/version', (_request, reply) => reply.type(json).send(JSON.stringify({ version: core.version, node: process.version })))
  server.get('/', (_request, reply) => reply
    .type('text/html; charset=utf-8')
    .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
    .send(indexPage({ version: core.version, actions: core.actions, ...core.ready() })))
  addActions(server, core.actions)
}

/** An unknown path is told what there is; a known one with another method, which works. */
export function answerUnknown (paths: readonly string[], actions: readonly AdminAction[] = []): (request: FastifyRequest, reply: FastifyReply) => FastifyReply {
  const known = Object.fromEntries([
    ...Object.entries(endpoints).filter(([path]) => paths.includes(path)),
    ...actions.map(({ method, path, says }) => [method === 'GET' ? path : `${method} ${path}`, says] as const)
  ])
  return (request, reply) => {
    const path = request.url.split('?', 1)[0]!
    const methods = [...paths.includes(path) ? ['GET', 'HEAD'] : [], ...actions.filter(action => action.path === path).map(({ method }) => method)]
    if (methods.length > 0) {
      return sendError(reply.header('allow', methods.join(', ')), 405, { code: 'MethodNotAllowed', message: `${path} answers ${methods.join(' and ')} only.` })
    }
    return sendError(reply, 404, { code: 'NotFound', message: 'There is nothing at this path.', endpoints: known })
  }
}

/** Joined as text: reading the control plane's megabyte on this thread would hold up the exchanges that share it. */
const withMore = (text: string, members: string): string => `${text.slice(0, text.lastIndexOf('}'))},${members}}`

function notAnswering (reply: FastifyReply, reason: string, rest = '}'): FastifyReply {
  const error = { code: 'ControlPlaneSilent', message: `The control plane does not answer: ${reason}. Calls are still served, from the last route table.` }
  return reply.code(503).type(json).header('retry-after', '5').send(`{"error":${JSON.stringify(error)}${rest}`)
}

/** Callers that come while an answer is being made share it: a scrape is made once, however many ask. */
function collapse<T> (make: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined
  return () => {
    underWay ??= make().finally(() => { underWay = undefined })
    return underWay
  }
}

type Described = { readonly text: string } | { readonly reason: string }

/** The thread that describes may be busy, dead, or being started again: that is said, and is no failure of this listener. */
async function answerOf (answer: Promise<string>): Promise<Described> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<Described>(resolve => {
    timer = setTimeout(() => { resolve({ reason: `no answer within ${describeTimeoutMs} ms` }) }, describeTimeoutMs)
  })
  try {
    return await Promise.race([answer.then(text => ({ text })), timeout])
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) }
  } finally {
    clearTimeout(timer)
  }
}
