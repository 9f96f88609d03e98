// One question or order to the admin listener of a gateway. Not fetch: that refuses ports which browsers do not use.
import { createAgent, get, type GetResult } from '../contracts/get.ts'

const timeoutMs = 10_000
/** /api/routes of 20,000 messages is 6 MB. */
const maxAnswerBytes = 268_435_456

/** GET. Never rejects. */
export function askAdmin (url: string): Promise<GetResult> {
  return send(url, undefined)
}

/** POST of JSON. Never rejects. */
export function tellAdmin (url: string, body: object): Promise<GetResult> {
  return send(url, body)
}

async function send (url: string, body: object | undefined): Promise<GetResult> {
  const agent = createAgent(url)
  try {
    return await get(url, { timeoutMs, maxAnswerBytes, tls: undefined, agent, signal: new AbortController().signal, post: body })
  } finally {
    agent.destroy()
  }
}
