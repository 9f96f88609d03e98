// A simulated upstream behind the real balancer: virtual clock, seeded random numbers, no sockets. The same figures at every run.
import { validate } from '../../src/config/validator.ts'
import type { BalancerConfig, BalancingConfig } from '../../src/config/schema.ts'
import { Balancer } from '../../src/upstream/balancing/balancer.ts'
import type { Candidate } from '../../src/upstream/balancing/candidate.ts'
import { Standing } from '../../src/upstream/balancing/standing.ts'
import { makeExchange, policy } from '../../test/support/exchange.ts'
import { seeded } from '../support/seeded.ts'
import { quantile } from '../support/statistics.ts'

export interface EndpointModel {
  readonly name: string
  /** Median time of an answer, ms; the others spread around it as log-normal times do. */
  readonly medianMs: number
  /** Answers with a failure, as fast as that. */
  readonly fails?: boolean
  /** Network round trip to it, ms. */
  readonly rttMs?: number
  /** 0 = own zone. */
  readonly level?: number
  readonly weight?: number
  /** Joins so late, ms. */
  readonly fromMs?: number
  /** Not available. */
  readonly gone?: boolean
}

export interface Simulation {
  readonly endpoints: readonly EndpointModel[]
  readonly callsPerSecond: number
  readonly seconds: number
  readonly balancer: Partial<BalancerConfig>
  readonly settings?: Partial<BalancingConfig>
  readonly seed?: number
}

export interface Simulated {
  readonly calls: number
  /** Of all calls. */
  readonly failed: number
  /** Times of calls that were answered well, ms. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Part of the calls that each endpoint got, by name. */
  readonly shares: Readonly<Record<string, number>>
}

/** Answers at one time at an endpoint; what is beyond waits there. */
const workers = 16
/** Spread of times: 1 in 100 takes 3.2 times the median. */
const sigma = 0.5
const clients = 500

class Server implements Candidate {
  readonly url: string
  readonly model: EndpointModel
  readonly available: boolean
  readonly rampFactor = 1
  readonly standing = new Standing()
  readonly plan: Candidate['plan']
  inFlight = 0
  calls = 0
  /** When each of its workers is free, ms. */
  readonly #freeAtMs = new Float64Array(workers)

  constructor (model: EndpointModel) {
    this.url = model.name
    this.model = model
    this.available = model.gone !== true
    this.plan = { weight: model.weight ?? 1, node: undefined, level: model.level ?? 0, rttMs: model.rttMs }
  }

  /** When the answer to a call that arrives now is back, ms. */
  answersAt (nowMs: number, random: () => number): number {
    let worker = 0
    for (let i = 1; i < workers; i++) if (this.#freeAtMs[i]! < this.#freeAtMs[worker]!) worker = i
    const spread = Math.exp(sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))
    const doneMs = Math.max(nowMs, this.#freeAtMs[worker]!) + this.model.medianMs * spread
    this.#freeAtMs[worker] = doneMs
    return doneMs + (this.model.rttMs ?? 0)
  }
}

interface Answer { readonly atMs: number, readonly startedAtMs: number, readonly server: Server }

/** Calls arrive at random at a steady rate, whatever becomes of those before (open loop). Nothing is retried and no breaker opens. */
export function simulate ({ endpoints, callsPerSecond, seconds, balancer: chosen, settings = {}, seed = 1 }: Simulation): Simulated {
  const random = seeded(seed)
  const servers = endpoints.map(model => new Server(model))
  // A first time of 0 would look like "never" to a slow start.
  let nowMs = 1
  const endsAtMs = nowMs + seconds * 1_000
  const balancer = new Balancer<Server>({ ...validate({}).config.defaults.balancing, ...settings }, { now: () => nowMs, random })
  const exchanges = Array.from({ length: clients }, (_, n) => makeExchange({ headers: ['x-client', String(n)], policy: { balancer: { ...policy.balancer, stickTo: 'header', name: 'x-client', ...chosen } } }))
  const pending: Answer[] = []
  const times: number[] = []
  let calls = 0
  let failed = 0

  const settle = (untilMs: number): void => {
    for (let next = pending.at(-1); next !== undefined && next.atMs <= untilMs; next = pending.at(-1)) {
      pending.pop()
      const { atMs, startedAtMs, server } = next
      server.inFlight--
      server.standing.report(server.model.fails === true ? 'failure' : 'success', atMs - startedAtMs, atMs, server.plan.rttMs)
      if (server.model.fails === true) failed++
      else times.push(atMs - startedAtMs)
    }
  }

  let present = 0
  while (nowMs < endsAtMs) {
    const joined = servers.filter(({ model }) => (model.fromMs ?? 0) < nowMs)
    if (joined.length !== present) balancer.apply(joined, [])
    present = joined.length
    const server = balancer.pick(exchanges[Math.trunc(random() * clients)]!, { inFlight: pending.length + 1, limit: Infinity })
    if (server === undefined) throw new Error('nobody to pick')
    calls++
    server.calls++
    server.inFlight++
    insert(pending, { atMs: server.answersAt(nowMs, random), startedAtMs: nowMs, server })
    const nextMs = nowMs - Math.log(1 - random()) * 1_000 / callsPerSecond
    settle(nextMs)
    nowMs = nextMs
  }
  settle(Infinity)
  return { calls, failed: failed / calls, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99), shares: Object.fromEntries(servers.map(server => [server.url, server.calls / calls])) }
}

/** Latest first, so that the next one is popped. */
function insert (pending: Answer[], answer: Answer): void {
  let low = 0
  let high = pending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (pending[middle]!.atMs > answer.atMs) low = middle + 1
    else high = middle
  }
  pending.splice(low, 0, answer)
}
