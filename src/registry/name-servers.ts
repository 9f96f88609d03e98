// What name servers say of one host name: a silent server costs its turn and not the answer, nor does a record type that nobody answers for. I/O: DNS.
import type { RecordWithTtl } from 'node:dns'
import { lookup, Resolver } from 'node:dns/promises'
import { setTimeout as pause } from 'node:timers/promises'

export interface Answer {
  readonly ips: readonly string[]
  readonly ttlMs: number
}

/** `servers`, as `address:port`; none: the system's. */
export type Ask = (name: string, servers: readonly string[], signal: AbortSignal) => Promise<Answer>

type RecordType = 'resolve4' | 'resolve6'
/** What a server says of one record type. `enough`: the other type need not be waited for, as there are addresses, or there is no such name. */
interface Said { readonly records: readonly RecordWithTtl[], readonly enough: boolean }

/** What DNS gives no TTL for (hosts file) is asked again after this long. */
const systemTtlMs = 30_000
/** How long a server that let a turn pass without a word stands behind the others. */
const silentMs = 30_000

/** Each server twice, as a packet may be lost; those that were silent lately come last. */
export function turnsOf (servers: readonly string[], isSilent: (server: string) => boolean): string[] {
  const inOrder = [...servers.filter(server => !isSilent(server)), ...servers.filter(isSilent)]
  return [...inOrder, ...inOrder]
}

/** How long a turn is, so that all are over within the limit and the last one has time left as well. */
export const turnMs = (limitMs: number, turns: number): number => limitMs / Math.max(5, turns + 1)
/** How long one record type is waited for when the other is answered, `spentMs` after the question: longer than the first turn of a single server, and within the limit. */
export const graceMs = (limitMs: number, spentMs: number): number => Math.max(0, Math.min(limitMs / 4, limitMs * 0.9 - spentMs))

/** Asks DNS for A and AAAA, then the system's own resolver (hosts file). `limitMs`: what its signals give a question. */
export function createAsk (limitMs: number, now: () => number): Ask {
  const heardAt = new Map<string, number>()
  const silentUntil = new Map<string, number>()

  const askAll = async (name: string, servers: readonly string[], over: AbortSignal): Promise<RecordWithTtl[]> => {
    const startedAt = now()
    const known = servers.length > 0 ? servers : new Resolver().getServers()
    const turns = turnsOf(known, server => (silentUntil.get(server) ?? -Infinity) > now())
    const everyMs = turnMs(limitMs, turns.length)
    const resolvers = new Map<string, Resolver>()

    const resolverOf = (server: string): Resolver => {
      let resolver = resolvers.get(server)
      if (resolver !== undefined) return resolver
      resolver = new Resolver({ timeout: limitMs, tries: 1 })
      // A single one of the system's is asked as the system has it, with the scope that a link-local address needs.
      if (servers.length > 0 || known.length > 1) resolver.setServers([server])
      resolvers.set(server, resolver)
      return resolver
    }

    /** Rejects when the server is of no use; that there is nothing is an answer too. */
    const askOne = async (server: string, type: RecordType): Promise<Said> => {
      over.throwIfAborted()
      const said = await resolverOf(server)[type](name, { ttl: true }).then(records => ({ records, enough: true }), nothing)
      heardAt.set(server, now())
      silentUntil.delete(server)
      return said
    }

    /** What the first server to answer says; all that have been asked are listened to until then. */
    const askInTurn = async (type: RecordType): Promise<Said> => {
      const asked: Array<Promise<Said>> = []
      for (const server of turns) {
        const answer = askOne(server, type)
        asked.push(answer)
        const said = await Promise.race([Promise.any(asked), answer, pause(everyMs, 'silence' as const, { ref: false })]).catch(() => 'failure' as const)
        if (typeof said === 'object') return said
        if (said === 'silence' && (heardAt.get(server) ?? -Infinity) < startedAt) silentUntil.set(server, now() + silentMs)
      }
      return await Promise.any(asked)
    }

    const records: RecordWithTtl[] = []
    const both = (['resolve4', 'resolve6'] as const).map(async type => {
      const said = await askInTurn(type)
      records.push(...said.records)
      return said
    })
    const all = Promise.allSettled(both)
    const cancel = (): void => { for (const resolver of resolvers.values()) resolver.cancel() }
    over.addEventListener('abort', cancel, { once: true })
    await Promise.race([all, ...both.map(one => one.then(({ enough }) => enough ? Promise.race([all, pause(graceMs(limitMs, now() - startedAt), undefined, { ref: false })]) : all, () => all))])
    return [...records]
  }

  return async (name, servers, signal) => {
    const ended = new AbortController()
    const records = await askAll(name, servers, AbortSignal.any([signal, ended.signal])).finally(() => { ended.abort() })
    if (records.length > 0) return { ips: records.map(({ address }) => address), ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1_000 }
    signal.throwIfAborted()
    const found = await lookup(name, { all: true })
    return { ips: found.map(({ address }) => address), ttlMs: systemTtlMs }
  }
}

function nothing (error: NodeJS.ErrnoException): Said {
  if (error.code !== 'ENODATA' && error.code !== 'ENOTFOUND') throw error
  return { records: [], enough: error.code === 'ENOTFOUND' }
}
