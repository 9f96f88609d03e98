// What operators can do, beside looking: actions handed in by whoever carries them out, answered as JSON.
import type { FastifyInstance } from 'fastify'
import { json, sendError } from './send.ts'

/** One thing an operator can ask for. `path` may hold parameters (`/api/cache/:tag`). */
export interface AdminAction {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  /** One sentence, for the index page and the answer to unknown paths. */
  readonly says: string
  /** Longest accepted body, bytes. Default 16 KB. */
  readonly bodyBytes?: number
  /** What is sent back as JSON, with 200. @throws ActionRefused when it cannot be done */
  run (input: ActionInput): unknown
}

export interface ActionInput {
  /** Path and query parameters; of a repeated one the last. */
  readonly parameters: Readonly<Record<string, string>>
  /** The body as JSON; undefined without one. */
  readonly body: unknown
}

/** The operator asked for something that cannot be done: the message says what to do instead. */
export class ActionRefused extends Error {
  readonly status: 400 | 404 | 409
  readonly code: string

  constructor (status: ActionRefused['status'], code: string, message: string) {
    super(message)
    this.name = 'ActionRefused'
    this.status = status
    this.code = code
  }
}

/**
 * A body has to be application/json, and so does a change without one: a page of another site that an operator's browser has open cannot
 * send that without asking first (CORS preflight, which is answered 404).
 */
export function addActions (server: FastifyInstance, actions: readonly AdminAction[]): void {
  for (const { method, path, bodyBytes = 16_384, run } of actions) {
    server.route({
      method,
      url: path,
      bodyLimit: bodyBytes,
      handler: async (request, reply) => {
        const isChange = method !== 'GET'
        if (isChange && !/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
          return await sendError(reply, 415, { code: 'JsonNeeded', message: 'A change is asked for with Content-Type: application/json.' })
        }
        const parameters = { ...request.query as Record<string, string>, ...request.params as Record<string, string> }
        try {
          return await reply.type(json).send(`${JSON.stringify(await run({ parameters, body: request.body }), undefined, 2)}\n`)
        } catch (error) {
          if (error instanceof ActionRefused) return await sendError(reply, error.status, { code: error.code, message: error.message })
          throw error
        }
      }
    })
  }
}
