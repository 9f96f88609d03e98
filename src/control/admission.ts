// Whether Postern may connect to what a registration names: networks, own listeners, and what host names resolve to. I/O: DNS.
import { isIP } from 'node:net'
import { authorityOf, createNetworkRules, type OwnListener } from '../registry/allowed-networks.ts'
import type { Registration } from '../registry/registration.ts'
import { createNameResolver, type NameResolver } from '../registry/resolve.ts'

export interface Admission {
  /** The same registration, or one with `refused` set, or with the addresses of its host name. A name not resolved yet is refused until it is. */
  admit (registration: Registration): Registration
  close (): void
}

/** Most different answers kept; beyond that all are decided anew. */
const mostAnswers = 20_000
/** The shortest time an answer holds; the resolver keeps those that hold longer. */
const resolveEveryMs = 5_000

/** Undefined `refused`: it may be used. `ips`: of a host name. */
interface Judged { readonly refused: string | undefined, readonly ips?: readonly string[] }

/** Fixed endpoints are the operator's own words: their names are resolved, not judged. */
const isOurs = ({ registry }: Registration) => registry === 'config'

/** `onChange`: a host name resolved to something else; what was admitted has to be asked for again. */
export function createAdmission (cidrs: readonly string[], ownListeners: readonly OwnListener[], onChange: () => void, given?: NameResolver): Admission {
  const rules = createNetworkRules(cidrs, ownListeners)
  const resolver: NameResolver = given ?? createNameResolver({ timeoutMs: 2_000, maxNames: 4_096, minTtlMs: resolveEveryMs, maxTtlMs: 300_000 })
  const answers = new Map<string, Judged>()
  /** Registrations stay the same objects as long as they say the same: what was made of them is not made anew at every decision. */
  const places = new WeakMap<Registration, string>()
  const admitted = new WeakMap<Registration, { readonly judged: Judged, readonly registration: Registration }>()
  /** Registrations by host name, so that one resolution decides them all; one example per distinct address. */
  const named = new Map<string, Registration>()
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const resolveNamed = (place: string, registration: Registration) => {
    const address = registration.address
    if (address === undefined) return
    const { host } = authorityOf(address)
    resolver.resolve(host).then(
      // In one order, whatever order the name server gives them in: another one is no change.
      ({ ips }): Judged => ({ refused: isOurs(registration) ? undefined : rules.resolved(address, ips, registration), ips: ips.toSorted() }),
      (error: unknown): Judged => ({ refused: isOurs(registration) ? undefined : `${host} cannot be resolved: ${(error as Error).message}` })
    ).then(judged => {
      const before = answers.get(place)
      if (closed || !named.has(place) || (before !== undefined && before.refused === judged.refused && before.ips?.join() === judged.ips?.join())) return
      answers.set(place, judged)
      onChange()
    }).catch((error: unknown) => { answers.set(place, { refused: (error as Error).message }) })
  }

  const watchName = (place: string, registration: Registration) => {
    named.set(place, registration)
    resolveNamed(place, registration)
    timer ??= setInterval(() => { for (const [key, example] of named) resolveNamed(key, example) }, resolveEveryMs)
  }

  const judge = (registration: Registration): Judged => {
    const address = registration.address
    if (address === undefined || registration.refused !== undefined) return registration
    let place = places.get(registration)
    if (place === undefined) {
      place = `${registration.registry} ${registration.ownNode ?? ''} ${address.url}`
      places.set(registration, place)
    }
    const known = answers.get(place)
    if (known !== undefined) return known
    if (answers.size >= mostAnswers || named.size >= mostAnswers) {
      answers.clear()
      named.clear()
    }
    const reason = isOurs(registration) ? undefined : rules.check(address, registration)
    const { host } = authorityOf(address)
    const needsResolving = reason === undefined && isIP(host) === 0 && !/(^|\.)localhost\.?$/i.test(host)
    if (!needsResolving) {
      answers.set(place, { refused: reason })
      return { refused: reason }
    }
    if (!named.has(place)) watchName(place, registration)
    return { refused: isOurs(registration) ? undefined : `${host} is being resolved` }
  }

  return {
    admit (registration) {
      const judged = judge(registration)
      const { refused, ips } = judged
      if (refused === registration.refused && ips === registration.ips) return registration
      const before = admitted.get(registration)
      if (before?.judged === judged) return before.registration
      const result = { ...registration, refused, ...(ips === undefined ? {} : { ips }) }
      admitted.set(registration, { judged, registration: result })
      return result
    },
    close () {
      closed = true
      clearInterval(timer)
      resolver.close()
    }
  }
}
