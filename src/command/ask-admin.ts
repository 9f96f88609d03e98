// One question or order to the admin listener of a gateway. Not fetch: that refuses ports which browsers do not use.
import { createAgent, get, type GetOptions, type GetResult } from '../contracts/get.ts'

const timeoutMs = 10_000
/** /api/routes of 20,000 messages is 6 MB. */
const maxAnswerBytes = 268_435_456

/** GET. Never rejects. */
export function askAdmin (url: string): Promise<GetResult> {
  return send(url, undefined)
}

/** JSON. Never rejects. */
export function tellAdmin (url: string, body: object, method: 'POST' | 'PUT' = 'POST'): Promise<GetResult> {
  return send(url, { method, body })
}

/** What the gateway says against it; undefined where it is no gateway's answer. */
export function sayRefusal (body: string): string | undefined {
  try {
    return (JSON.parse(body) as { error?: { message?: string } }).error?.message
  } catch {
    // Not a gateway's answer: the status says what there is to say.
    return undefined
  }
}

async function send (url: string, tell: GetOptions['tell']): Promise<GetResult> {
  const agent = createAgent(url)
  try {
    return await get(url, { timeoutMs, maxAnswerBytes, tls: undefined, agent, signal: new AbortController().signal, tell })
  } finally {
    agent.destroy()
  }
}
