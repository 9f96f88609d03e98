// What the request path counts with: plain numbers, read only when somebody scrapes. No library: an observe of one costs ten times as much.

/** Counts of observations per bucket, as a Prometheus histogram has them (not yet cumulative). */
export class DurationHistogram {
  readonly bounds: readonly number[]
  readonly counts: number[]
  sumMs = 0
  count = 0
  readonly #boundsMs: readonly number[]

  /** `bounds` in seconds, ascending. */
  constructor (bounds: readonly number[]) {
    this.bounds = bounds
    this.#boundsMs = bounds.map(bound => bound * 1_000)
    this.counts = bounds.map(() => 0)
  }

  /** Upper bound, in ms, of the bucket in which this share (0 to 1) of the observations ends; Infinity beyond the last, undefined for none. */
  quantileMs (share: number): number | undefined {
    if (this.count === 0) return undefined
    let upTo = 0
    const index = this.counts.findIndex(count => (upTo += count) >= share * this.count)
    return this.#boundsMs[index] ?? Infinity
  }

  observe (ms: number): void {
    this.sumMs += ms
    this.count++
    const bounds = this.#boundsMs
    for (let i = 0; i < bounds.length; i++) {
      if (ms <= bounds[i]!) {
        this.counts[i]!++
        return
      }
    }
  }
}

/** Beyond it, reasons are counted as `other`: the codes are one table, so this only bounds a mistake. */
const maxReasons = 100

/** Counts of one upstream. */
export class UpstreamMeter {
  readonly name: string
  readonly duration: DurationHistogram
  readonly attemptDuration: DurationHistogram
  readonly rejections = new Map<string, number>()
  inFlight = 0
  retries = 0
  hedges = 0
  readonly degraded = { fixed: 0, upstream: 0 }
  /** Copies of other upstreams' traffic sent here, by what became of them. */
  readonly copies = { success: 0, failure: 0, ignored: 0, dropped: 0 }

  constructor (name: string, bounds: readonly number[]) {
    this.name = name
    this.duration = new DurationHistogram(bounds)
    this.attemptDuration = new DurationHistogram(bounds)
  }

  reject (code: string): void {
    const known = this.rejections.get(code)
    if (known === undefined && this.rejections.size >= maxReasons) code = 'other'
    this.rejections.set(code, (this.rejections.get(code) ?? 0) + 1)
  }
}

type ClassCounts = [number, number, number, number, number, number]
/** Index by class of status: 2 = 2xx, 0 = what is no status. */
const classOf = (status: number) => status >= 100 && status < 600 ? Math.trunc(status / 100) as 1 | 2 | 3 | 4 | 5 : 0

/** Counts of one route. Made when the table is built; appears in the exposition with its first exchange. */
export class RouteMeter {
  readonly upstream: UpstreamMeter
  readonly message: string
  /** Exchanges by class of status: index 2 = 2xx. 0 is what is no status. */
  readonly byClass: ClassCounts = [0, 0, 0, 0, 0, 0]

  constructor (upstream: UpstreamMeter, message: string) {
    this.upstream = upstream
    this.message = message
  }

  /** An exchange begins. Every start is followed by one done. */
  start (): void {
    this.upstream.inFlight++
  }

  /** The exchange is over: response sent, failed, or given up by the client. `errorCode` when it ended with an error of ours. */
  done (status: number, durationMs: number, errorCode?: string): void {
    const upstream = this.upstream
    upstream.inFlight--
    upstream.duration.observe(durationMs)
    this.byClass[classOf(status)]++
    if (errorCode !== undefined) upstream.reject(errorCode)
  }

  /** One more attempt than the first. */
  retry (): void {
    this.upstream.retries++
  }

  /** Answered by a fixed body, or sent to the fallback upstream. */
  degraded (by: 'fixed' | 'upstream'): void {
    this.upstream.degraded[by]++
  }

  /** One more attempt, made before the first had ended. */
  hedge (): void {
    this.upstream.hedges++
  }
}

/** Counts of one endpoint. */
export class EndpointMeter {
  readonly upstream: UpstreamMeter
  readonly url: string
  success = 0
  failure = 0
  ignored = 0

  constructor (upstream: UpstreamMeter, url: string) {
    this.upstream = upstream
    this.url = url
  }

  attempt (outcome: 'success' | 'failure' | 'ignored', durationMs: number): void {
    this[outcome]++
    this.upstream.attemptDuration.observe(durationMs)
  }
}

/** Counts of one part of a split. */
export class PartMeter {
  readonly name: string
  readonly duration: DurationHistogram
  /** Exchanges by class of status, as of a route. */
  readonly byClass: ClassCounts = [0, 0, 0, 0, 0, 0]

  constructor (name: string, bounds: readonly number[]) {
    this.name = name
    this.duration = new DurationHistogram(bounds)
  }

  done (status: number, durationMs: number): void {
    this.byClass[classOf(status)]++
    this.duration.observe(durationMs)
  }
}
