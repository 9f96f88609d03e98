// Which endpoint of an upstream gets the next attempt: keeps what is eligible for each set of messages, and picks.
import type { BalancingConfig } from '../../config/schema.ts'
import type { Attempt } from '../../exchange/attempt.ts'
import type { Exchange } from '../../exchange/exchange.ts'
import type { LevelPlan } from '../../routing/plan.ts'
import type { Avoid, Call, Candidate } from './candidate.ts'
import { Eligible } from './eligible.ts'
import { Scale } from './standing.ts'
import { stickyKey } from './sticky-key.ts'

export interface BalancerOptions {
  /** performance.now() */
  readonly now?: () => number
  readonly random?: () => number
}

export class Balancer<E extends Candidate> {
  /** Attempts that went farther than to the nearest zone and datacenter. */
  overflowed = 0
  readonly #scale: Scale
  readonly #now: () => number
  readonly #random: () => number
  readonly #call: Call = { strategy: 'peak-ewma', nowMs: 0, key: undefined, boundPercent: 125, inFlight: 0, limit: Infinity, avoid: undefined }
  #settings: BalancingConfig
  #registered: readonly LevelPlan[] = []
  #endpoints: readonly E[] = []
  /** Those that may get anything. */
  #baseEndpoints: readonly E[] = []
  #base: Eligible<E>
  /** What the sets were made of; see `shapeOf`. */
  #shape = ''
  /** By the set's identity: sets are made when the table is built, so they live as long as it does. */
  #some = new WeakMap<ReadonlySet<string>, Eligible<E>>()

  constructor (settings: BalancingConfig, { now = () => performance.now(), random = Math.random }: BalancerOptions = {}) {
    this.#settings = settings
    this.#scale = new Scale(settings)
    this.#now = now
    this.#random = random
    this.#base = this.#eligible([])
  }

  /** Takes over the endpoints of a new plan; whose turn it is stays where nothing that counts is another. `base`: those of them that get calls without endpoints of their own; undefined = all. */
  apply (endpoints: readonly E[], registered: readonly LevelPlan[], base?: ReadonlySet<string>): void {
    const known = new Set(this.#endpoints)
    for (const endpoint of endpoints) if (!known.has(endpoint)) endpoint.standing.join(this.#scale, this.#now())
    const shape = shapeOf(endpoints, registered, base)
    const isAnother = shape !== this.#shape || endpoints.some(endpoint => !known.has(endpoint))
    this.#endpoints = endpoints
    if (!isAnother) return
    this.#shape = shape
    this.#registered = registered
    this.#baseEndpoints = base === undefined ? endpoints : endpoints.filter(({ url }) => base.has(url))
    this.#renew()
  }

  configure (settings: BalancingConfig): void {
    this.#settings = settings
    this.#scale.settings = settings
    this.#renew()
  }

  /** What the calls that may go to these endpoints (undefined: the base) are shared among. */
  eligible (only: ReadonlySet<string> | undefined): Eligible<E> {
    if (only === undefined) return this.#base
    let eligible = this.#some.get(only)
    if (eligible === undefined) {
      eligible = this.#eligible(this.#endpoints.filter(({ url }) => only.has(url)))
      this.#some.set(only, eligible)
    }
    return eligible
  }

  /** Among exactly these endpoints, calls are shared by these weights and not their own. */
  weigh (only: ReadonlySet<string>, weights: ReadonlyMap<string, number>): void {
    this.#some.set(only, this.#eligible(this.#endpoints.filter(({ url }) => only.has(url)), weights))
  }

  /**
   * For a first attempt; for a further one, an endpoint on another node before another endpoint on the same, before one that was tried.
   * @param load calls of the upstream in flight, this one included, and how many there may be
   * @param avoid endpoints that this attempt is not for
   */
  pick (exchange: Exchange, load: { readonly inFlight: number, readonly limit: number }, avoid?: Avoid): E | undefined {
    const { balancer } = exchange.route.policy
    const call = this.#call
    call.strategy = balancer.strategy
    call.boundPercent = balancer.boundPercent
    call.key = balancer.strategy === 'hash' ? stickyKey(exchange, balancer) : undefined
    call.nowMs = this.#now()
    call.inFlight = load.inFlight
    call.limit = load.limit
    call.avoid = avoid
    const eligible = this.eligible(exchange.endpoints)
    const picked = exchange.attempts.length === 0 ? eligible.pick(call) : this.#pickAnother(eligible, exchange.attempts, avoid)
    if (picked !== undefined && picked.plan.level !== eligible.levels[0]!.level) this.overflowed++
    return picked
  }

  #pickAnother (eligible: Eligible<E>, attempts: readonly Attempt[], also: Avoid | undefined): E | undefined {
    const call = this.#call
    const tried = new Set(attempts.map(({ endpoint }) => endpoint))
    const nodes = new Set(this.#endpoints.flatMap(({ url, plan }) => tried.has(url) ? plan.node ?? [] : []))
    const sameNode: Avoid = { has: ({ url, plan }) => tried.has(url) || (plan.node !== undefined && nodes.has(plan.node)) }
    const sameEndpoint: Avoid = { has: ({ url }) => tried.has(url) }
    for (const avoid of nodes.size > 0 ? [sameNode, sameEndpoint, undefined] : [sameEndpoint, undefined]) {
      call.avoid = also === undefined ? avoid : { has: one => also.has(one) || avoid?.has(one) === true }
      const picked = eligible.pick(call)
      if (picked !== undefined) return picked
    }
    return undefined
  }

  #renew (): void {
    this.#base = this.#eligible(this.#baseEndpoints)
    this.#some = new WeakMap()
  }

  #eligible (endpoints: readonly E[], weights?: ReadonlyMap<string, number>): Eligible<E> {
    return new Eligible(endpoints, this.#baseEndpoints, this.#registered, { overprovisioningPercent: this.#settings.overprovisioningPercent, random: this.#random, weights })
  }
}

/** All that counts for who gets which calls: a plan that differs in nothing of it disturbs no turn. */
const shapeOf = (endpoints: readonly Candidate[], registered: readonly LevelPlan[], base: ReadonlySet<string> | undefined): string => JSON.stringify([
  endpoints.map(({ url, plan, standing }) => [url, plan.weight, plan.level, plan.node, standing.sinceMs]), registered, base === undefined ? null : [...base]
])
