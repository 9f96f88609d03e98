// What this listener answers is JSON, and so are its errors.
import type { FastifyReply } from 'fastify'

export const json = 'application/json; charset=utf-8'

export function sendError (reply: FastifyReply, status: number, error: { code: string, message: string, endpoints?: object }): FastifyReply {
  return reply.code(status).type(json).send(`${JSON.stringify({ error })}\n`)
}
