// Whether Postern may connect to what a registration names: networks, own listeners, and what host names resolve to. I/O: DNS.
import { isIP } from 'node:net'
import { authorityOf, createNetworkRules, type OwnListener } from '../registry/allowed-networks.ts'
import type { Registration } from '../registry/registration.ts'
import { createNameResolver, type NameResolver } from '../registry/resolve.ts'

export interface Admission {
  /** The same registration, or one with `refused` set. A host name not resolved yet is refused until it is. */
  admit (registration: Registration): Registration
  close (): void
}

/** Most different answers kept; beyond that all are decided anew. */
const mostAnswers = 20_000
const resolveEveryMs = 30_000

/** `onChange`: a host name resolved to something else; what was admitted has to be asked for again. */
export function createAdmission (cidrs: readonly string[], ownListeners: readonly OwnListener[], onChange: () => void): Admission {
  const rules = createNetworkRules(cidrs, ownListeners)
  const resolver: NameResolver = createNameResolver({ timeoutMs: 2_000, maxNames: 4_096, minTtlMs: 5_000, maxTtlMs: 300_000 })
  const answers = new Map<string, string | undefined>()
  /** Registrations by host name, so that one resolution decides them all; one example per distinct address. */
  const named = new Map<string, Registration>()
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const resolveNamed = (place: string, registration: Registration) => {
    const address = registration.address
    if (address === undefined) return
    const { host } = authorityOf(address)
    resolver.resolve(host).then(
      ({ ips }) => rules.resolved(address, ips, registration),
      (error: unknown) => `${host} cannot be resolved: ${(error as Error).message}`
    ).then(reason => {
      if (closed || !named.has(place) || (answers.has(place) && answers.get(place) === reason)) return
      answers.set(place, reason)
      onChange()
    }).catch((error: unknown) => { answers.set(place, (error as Error).message) })
  }

  const watchName = (place: string, registration: Registration) => {
    named.set(place, registration)
    resolveNamed(place, registration)
    timer ??= setInterval(() => { for (const [key, example] of named) resolveNamed(key, example) }, resolveEveryMs)
  }

  const judge = (registration: Registration): string | undefined => {
    const address = registration.address
    // Fixed endpoints are the operator's own words.
    if (address === undefined || registration.refused !== undefined || registration.registry === 'config') return registration.refused
    const place = `${registration.registry} ${registration.ownNode ?? ''} ${address.url}`
    if (answers.has(place)) return answers.get(place)
    if (answers.size >= mostAnswers || named.size >= mostAnswers) {
      answers.clear()
      named.clear()
    }
    const reason = rules.check(address, registration)
    const { host } = authorityOf(address)
    const needsResolving = reason === undefined && isIP(host) === 0 && !/(^|\.)localhost\.?$/i.test(host)
    if (!needsResolving) {
      answers.set(place, reason)
      return reason
    }
    if (!named.has(place)) watchName(place, registration)
    return `${host} is being resolved`
  }

  return {
    admit (registration) {
      const refused = judge(registration)
      return refused === registration.refused ? registration : { ...registration, refused }
    },
    close () {
      closed = true
      clearInterval(timer)
      resolver.close()
    }
  }
}
