// Host names of endpoints -> IP addresses, off the request path: bounded in time and number, TTLs honoured, the last good answer kept.
import { createAsk, type Ask } from './name-servers.ts'

export interface Resolution {
  readonly ips: readonly string[]
  /** How long it holds from now on. Milliseconds. */
  readonly forMs: number
}

export interface ResolverOptions {
  /** Limit on one question. Milliseconds. */
  readonly timeoutMs: number
  /** Names kept; the longest unused goes first. */
  readonly maxNames: number
  /** Bounds on the TTL that answers carry. Milliseconds. */
  readonly minTtlMs: number
  readonly maxTtlMs: number
  /** How long after a question that got no good answer the name is asked again. Milliseconds. */
  readonly retryMs: number
  /** Asks the network. Default: DNS for A and AAAA, then the system's own resolver (hosts file), whose answers have no TTL. */
  readonly ask?: Ask
  /** ms, monotonic. */
  readonly now?: () => number
}

interface Entry {
  ips: readonly string[]
  /** When it was asked last. */
  at: number
  error: string | undefined
  expiresAt: number
  asking: Promise<void> | undefined
}

export interface NameResolver {
  /**
   * The addresses of a name: from memory while the TTL lasts, else asked. `doubted`: there is reason to believe that it leads elsewhere now, so
   * memory counts for the shortest TTL only. Rejects only when there never was a good answer.
   */
  resolve (name: string, doubted?: boolean): Promise<Resolution>
  /** Which DNS servers are asked, as `address:port`; none: the system's. Others than before are asked for every name anew. */
  configure (servers: readonly string[]): void
  /** Ends questions in flight. */
  close (): void
}

/** Most questions at one time, so that a large catalog is no storm at its name server; their time runs from when they are asked. */
export const mostQuestions = 64

/** Creates a resolver. It starts no timers of its own between questions. */
export function createNameResolver (options: ResolverOptions): NameResolver {
  const now = options.now ?? (() => performance.now())
  const ask = options.ask ?? createAsk(options.timeoutMs, now)
  const entries = new Map<string, Entry>()
  const closed = new AbortController()
  /** As many as there are names, at most. */
  const waiting: Array<() => void> = []
  let asking = 0
  let servers: readonly string[] = []

  const inTurn = async <T>(question: () => Promise<T>): Promise<T> => {
    if (asking < mostQuestions) asking++
    else await new Promise<void>(resolve => { waiting.push(resolve) })
    try {
      return await question()
    } finally {
      // Whoever waited longest takes the place over.
      const next = waiting.shift()
      if (next === undefined) asking--
      else next()
    }
  }

  const refresh = async (name: string, entry: Entry): Promise<void> => {
    const limit = AbortSignal.timeout(options.timeoutMs)
    try {
      const signal = AbortSignal.any([closed.signal, limit])
      const answer = await Promise.race([ask(name, servers, signal), rejectOn(signal)])
      if (answer.ips.length === 0) throw new Error(`${name} has no address`)
      entry.ips = answer.ips
      entry.error = undefined
      entry.expiresAt = now() + Math.min(options.maxTtlMs, Math.max(options.minTtlMs, answer.ttlMs))
    } catch (error) {
      entry.error = limit.aborted ? `no answer within ${options.timeoutMs} ms` : (error as Error).message
      entry.expiresAt = now() + options.retryMs
    }
    entry.at = now()
  }

  return {
    async resolve (name, doubted = false) {
      const key = name.toLowerCase()
      let entry = entries.get(key)
      entry ??= { ips: [], at: -Infinity, error: undefined, expiresAt: -Infinity, asking: undefined }
      entries.delete(key)
      entries.set(key, entry)
      if (entries.size > options.maxNames) entries.delete(entries.keys().next().value!)
      if (entry.expiresAt <= now() || (doubted && entry.at + options.minTtlMs <= now())) {
        const asked = entry
        entry.asking ??= inTurn(() => refresh(key, asked)).finally(() => { asked.asking = undefined })
        await entry.asking
      }
      if (entry.ips.length === 0) throw new Error(entry.error ?? `${name} has no address`)
      return { ips: entry.ips, forMs: Math.max(0, entry.expiresAt - now()) }
    },
    configure (next) {
      if (next.join() === servers.join()) return
      servers = next
      for (const entry of entries.values()) entry.expiresAt = -Infinity
    },
    close () { closed.abort(new Error('the resolver was closed')) }
  }
}

function rejectOn (signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(new Error('the question was given up', { cause: signal.reason }))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
