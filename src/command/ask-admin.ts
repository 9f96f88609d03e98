// One question or order to the admin listener of a gateway, and what to say when it is not answered. Not fetch: that refuses ports which browsers do not use.
import { createAgent, get, type GetOptions, type GetResult } from '../contracts/get.ts'
import type { Arguments } from './arguments.ts'
import { CommandError, printable, UsageError } from './terminal.ts'

const timeoutMs = 10_000
/** /api/routes of 20,000 messages is 6 MB. */
const maxAnswerBytes = 268_435_456

/** Where `--admin` says that the gateway is asked. @throws UsageError */
export function adminBase (args: Arguments): string {
  const admin = args.one('admin') ?? '127.0.0.1:9901'
  const base = /^https?:\/\//.test(admin) ? admin.replace(/\/+$/, '') : `http://${admin}`
  if (!URL.canParse(base)) throw new UsageError(`--admin: "${admin}" is not HOST:PORT.`)
  return base
}

/** The text of a good answer. `tell`: an order; left out: GET. @throws CommandError that says what the gateway has against it, or that there is none */
export async function askGateway (base: string, path: string, tell?: GetOptions['tell']): Promise<string> {
  const result = await askAdmin(base + path, tell)
  if (result.kind !== 'answer') throw new CommandError(`no gateway answers at ${base} (${result.reason}). Does it run? --admin HOST:PORT names another.`)
  if (result.status !== 200) throw new CommandError(printable(refusalIn(result.body) ?? `${base}${path} answered ${result.status}: ${result.body.trim().slice(0, 500)}`))
  return result.body
}

/** The same as JSON. @throws CommandError */
export async function jsonOfGateway<T> (base: string, path: string, tell?: GetOptions['tell']): Promise<T> {
  const text = await askGateway(base, path, tell)
  try {
    return JSON.parse(text) as T
  } catch (error) {
    throw new CommandError(`${base}${path} answered, and no JSON: is this the admin address of a gateway?`, { cause: error })
  }
}

/** What the gateway says against it; undefined where it is no gateway's answer. */
function refusalIn (body: string): string | undefined {
  try {
    return (JSON.parse(body) as { error?: { message?: string } } | null)?.error?.message
  } catch {
    // Not a gateway's answer: the status says what there is to say.
    return undefined
  }
}

/** Never rejects. */
export async function askAdmin (url: string, tell?: GetOptions['tell']): Promise<GetResult> {
  const agent = createAgent(url)
  try {
    return await get(url, { timeoutMs, maxAnswerBytes, tls: undefined, agent, signal: new AbortController().signal, tell })
  } finally {
    agent.destroy()
  }
}
