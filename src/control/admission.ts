// Whether Postern may connect to what a registration names: networks, own listeners, and what host names resolve to. I/O: DNS.
import { isIP } from 'node:net'
import type { Config } from '../config/schema.ts'
import { authorityOf, createNetworkRules, type NetworkRules, type OwnListener } from '../registry/allowed-networks.ts'
import type { Cure, EndpointAddress, Registration } from '../registry/registration.ts'
import { createNameResolver, type NameResolver } from '../registry/resolve.ts'
import type { CatalogEntry } from './catalog.ts'

/** The last good answer for a host name. */
export type ResolvedName = readonly [host: string, ips: readonly string[]]

export type AdmissionSettings = Pick<Config['registry'], 'allowedNetworks' | 'nameServers'>

export interface Admission {
  /** The same registration, or one with `refused` set, or with the addresses of its host name, or `unresolved` while those are not known. */
  admit (registration: Registration): Registration
  /** Other rules: whatever is resolved already is judged by them at once. `alsoOurs`: listeners beside those that were there from the start. */
  configure (settings: AdmissionSettings, alsoOurs: readonly OwnListener[]): void
  /** Endpoints of these hosts cannot be connected to: their names may lead elsewhere by now, and are asked again however long they were to hold. */
  doubt (hosts: ReadonlySet<string>): void
  /** To be called when all registrations have been admitted: names that none of them has had for long are forgotten. */
  forgetUnused (): void
  /** The rules in force. */
  readonly networks: NetworkRules
  /** A host name has had no answer yet, neither good nor bad. */
  readonly isResolving: boolean
  /** For the disk. */
  readonly resolved: ResolvedName[]
  close (): void
}

export interface AdmissionOptions {
  readonly settings: AdmissionSettings
  readonly ownListeners: readonly OwnListener[]
  /** A host name resolved to something else; what was admitted has to be asked for again. */
  readonly onChange: () => void
  /** What names resolved to when Postern ran last: in force, under the rules of now, until they are resolved anew. */
  readonly known?: Iterable<ResolvedName>
  readonly resolver?: NameResolver
  /** ms, monotonic. */
  readonly now?: () => number
}

/** Most host names in use; those beyond are refused, so that they take nothing away from the others. */
export const mostNames = 20_000
/** However short its TTL, an answer holds this long, and however long, that long. */
const [minTtlMs, maxTtlMs] = [1_000, 300_000]
/** How long after a question a name without a good answer is asked again, and one that leads to where nobody answers. */
const retryMs = 5_000
/** How long a name is kept that no registration has: whoever registers anew must not wait for a name server. */
const unusedMs = 600_000

/** `ips` undefined: it has never been resolved; `error` says why, and `failedSince` since when, ms since epoch. */
interface Answer { readonly ips: readonly string[] | undefined, readonly error: string | undefined, readonly failedSince?: number }
interface Name { answer: Answer | undefined, usedAt: number, timer: NodeJS.Timeout | undefined }

export function createAdmission ({ settings, ownListeners, onChange, known = [], resolver: given, now = () => performance.now() }: AdmissionOptions): Admission {
  let rules = createNetworkRules(settings.allowedNetworks, ownListeners)
  const resolver = given ?? createNameResolver({ timeoutMs: 2_000, maxNames: mostNames, minTtlMs, maxTtlMs, retryMs })
  resolver.configure(settings.nameServers)
  const before = new Map(known)
  const names = new Map<string, Name>()
  /** Registrations stay the same objects as long as they say the same: what was made of them is not made anew at every decision. */
  const made = new WeakMap<Registration, { readonly rules: typeof rules, readonly host: string | undefined, readonly name: Name | undefined, readonly answer: Answer | undefined, readonly registration: Registration }>()
  let doubted: ReadonlySet<string> = new Set()
  let closed = false

  const tell = (host: string, name: Name, answer: Answer) => {
    const last = name.answer
    if (closed || names.get(host) !== name) return
    if (last !== undefined && last.error === answer.error && last.ips?.join() === answer.ips?.join()) return
    name.answer = answer
    onChange()
  }

  /** And again when the answer holds no longer. */
  const resolve = (host: string, name: Name) => {
    const again = (ms: number) => {
      clearTimeout(name.timer)
      if (!closed && names.get(host) === name) name.timer = setTimeout(resolve, doubted.has(host) ? Math.min(retryMs, ms) : ms, host, name)
    }
    resolver.resolve(host, doubted.has(host)).then(
      ({ ips, forMs }) => {
        // In one order, whatever order the name server gives them in: another one is no change.
        tell(host, name, { ips: ips.toSorted(), error: undefined })
        again(forMs)
      },
      (error: unknown) => {
        // The last good answer stays in force.
        if (name.answer?.ips === undefined) tell(host, name, { ips: undefined, error: (error as Error).message, failedSince: name.answer?.failedSince ?? Date.now() })
        again(retryMs)
      }
    )
  }

  /** Undefined: there are too many. */
  const nameOf = (host: string): Name | undefined => {
    let name = names.get(host)
    if (name === undefined) {
      if (names.size >= mostNames) return undefined
      const ips = before.get(host)
      name = { answer: ips === undefined ? undefined : { ips, error: undefined }, usedAt: 0, timer: undefined }
      names.set(host, name)
      resolve(host, name)
    }
    name.usedAt = now()
    return name
  }

  const judge = (registration: Registration, address: EndpointAddress, host: string | undefined, name: Name | undefined): Registration => {
    const refuse = (refused: string, cure?: Cure) => ({ ...registration, refused, cure })
    if (host === undefined) {
      const refused = rules.check(address, registration)
      return refused === undefined ? registration : refuse(refused.reason, refused.cure)
    }
    if (name === undefined) return refuse(`more than ${mostNames} host names are in use`, 'fewer-names')
    const { ips, error, failedSince } = name.answer ?? {}
    if (ips === undefined) return { ...registration, unresolved: { reason: error === undefined ? `${host} is being resolved` : `${host} cannot be resolved: ${error}`, failedSince } }
    const refused = rules.resolved(address, ips, registration)
    return { ...registration, refused: refused?.reason, cure: refused?.cure, ips }
  }

  return {
    admit (registration) {
      const { address, refused } = registration
      if (address === undefined || refused !== undefined) return registration
      const last = made.get(registration)
      const host = last === undefined ? nameIn(address) : last.host
      const name = host === undefined ? undefined : nameOf(host)
      if (last?.rules === rules && last.name === name && last.answer === name?.answer) return last.registration
      const result = judge(registration, address, host, name)
      made.set(registration, { rules, host, name, answer: name?.answer, registration: result })
      return result
    },
    configure ({ allowedNetworks, nameServers }, alsoOurs) {
      rules = createNetworkRules(allowedNetworks, [...ownListeners, ...alsoOurs])
      resolver.configure(nameServers)
      // Others may say otherwise; the same ones have it in memory.
      for (const [host, name] of names) resolve(host, name)
    },
    doubt (hosts) {
      const before = doubted
      doubted = hosts
      for (const [host, name] of names) if (hosts.has(host) && !before.has(host)) resolve(host, name)
    },
    forgetUnused () {
      for (const [host, { usedAt, timer }] of names) {
        if (now() - usedAt <= unusedMs) continue
        clearTimeout(timer)
        names.delete(host)
      }
    },
    get networks () { return rules },
    get isResolving () { return names.values().some(({ answer }) => answer === undefined) },
    get resolved () { return [...names].flatMap(([host, { answer }]): ResolvedName[] => answer?.ips === undefined ? [] : [[host, answer.ips]]) },
    close () {
      closed = true
      for (const { timer } of names.values()) clearTimeout(timer)
      resolver.close()
    }
  }
}

/** Entries as admitted: the same objects while they say the same, as those are that need no admission. */
export function createEntryAdmission ({ admit }: Pick<Admission, 'admit'>): (entry: CatalogEntry) => CatalogEntry {
  const made = new WeakMap<CatalogEntry, CatalogEntry>()
  return entry => {
    const registration = admit(entry.registration)
    const last = registration === entry.registration ? entry : made.get(entry)
    if (last?.registration === registration) return last
    const result = { ...entry, registration }
    made.set(entry, result)
    return result
  }
}

/** The host name to resolve; undefined for addresses, and for localhost, which is no resolver's to answer (RFC 6761 section 6.3). */
function nameIn (address: EndpointAddress): string | undefined {
  const { host } = authorityOf(address)
  return isIP(host) !== 0 || /(^|\.)localhost\.?$/i.test(host) ? undefined : host
}
