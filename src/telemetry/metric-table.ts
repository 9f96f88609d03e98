// Every metric Postern exports: one table that makes the exposition and docs/METRICS.md. Data only.

export interface MetricSpec {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** Every label takes its values from a closed set: names of the route table, of postern.yaml, or of this project's own tables. Never client text. */
  readonly labels: readonly string[]
  /** Upper bounds in seconds, for histograms. */
  readonly buckets?: readonly number[]
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export const metricTable = {
  requests: { name: 'postern_requests_total', type: 'counter', labels: ['upstream', 'message', 'code'], help: 'Exchanges that ended, by class of the status the client got (499 and its like count as 4xx). Both names are empty where no route was found.' },
  duration: { name: 'postern_request_duration_seconds', type: 'histogram', labels: ['upstream'], buckets: seconds, help: 'From the request head until the end of the response.' },
  inFlight: { name: 'postern_in_flight', type: 'gauge', labels: ['upstream'], help: 'Exchanges under way, those waiting in the queue included.' },
  queue: { name: 'postern_queue', type: 'gauge', labels: ['upstream'], help: 'Exchanges waiting for a bulkhead slot.' },
  queueLimit: { name: 'postern_queue_limit', type: 'gauge', labels: ['upstream'], help: 'Most exchanges that may wait for a bulkhead slot: maxQueue.' },
  bulkheadInFlight: { name: 'postern_bulkhead_in_flight', type: 'gauge', labels: ['upstream'], help: 'Exchanges that hold a bulkhead slot.' },
  bulkheadLimit: { name: 'postern_bulkhead_limit', type: 'gauge', labels: ['upstream'], help: 'Exchanges at one time to the upstream: maxConcurrent, or what the adaptive limit found.' },
  bulkheadRejections: { name: 'postern_bulkhead_rejections_total', type: 'counter', labels: ['upstream', 'limit', 'priority'], help: 'Exchanges a bulkhead turned away, by limit (maxQueue, queueTimeoutMs, displaced: it waited, and gave way to a higher priority, or maxPerEndpoint: no endpoint had a place left) and by their priority. The limits and what they hold now: postern_bulkhead_limit and postern_bulkhead_in_flight, postern_queue_limit and postern_queue, postern_endpoint_limit and postern_endpoint_in_flight.' },
  attempts: { name: 'postern_attempts_total', type: 'counter', labels: ['upstream', 'endpoint', 'outcome'], help: 'Tries at an endpoint, by outcome: success, failure, or ignored (nobody\'s failure).' },
  attemptDuration: { name: 'postern_attempt_duration_seconds', type: 'histogram', labels: ['upstream'], buckets: seconds, help: 'From the start of an attempt, or the end of a body that streams, until its response head or its failure.' },
  retries: { name: 'postern_retries_total', type: 'counter', labels: ['upstream'], help: 'Second and later attempts, hedges not among them.' },
  hedges: { name: 'postern_hedges_total', type: 'counter', labels: ['upstream'], help: 'Attempts made before the first had ended, because it was slower than its message usually is (policy.hedge).' },
  mirrored: { name: 'postern_mirrored_total', type: 'counter', labels: ['upstream', 'result'], help: 'Copies for this upstream (policy.mirror), by what became of them: success, failure, ignored, or dropped: no room for it, no such upstream, or one whose breakers keep it out.' },
  retriesRefused: { name: 'postern_retries_refused_total', type: 'counter', labels: ['upstream'], help: 'Repeated attempts and hedges that were due and not made: the upstream\'s retryBudget had none left.' },
  retryBudget: { name: 'postern_retry_budget_left', type: 'gauge', labels: ['upstream'], help: 'Repeated attempts that the upstream\'s retryBudget would allow now.' },
  parts: { name: 'postern_split_requests_total', type: 'counter', labels: ['upstream', 'part', 'code'], help: 'Exchanges of a split that ended, by part of postern.yaml (rest: what no part has taken) and class of status.' },
  partDuration: { name: 'postern_split_duration_seconds', type: 'histogram', labels: ['upstream', 'part'], buckets: seconds, help: 'Duration of the exchanges of a part.' },
  rejections: { name: 'postern_rejections_total', type: 'counter', labels: ['upstream', 'reason'], help: 'Exchanges that ended with an error of the gateway\'s own, by error code (docs/ERRORS.md). ClientClosed: the client left.' },
  breaker: { name: 'postern_breaker_state', type: 'gauge', labels: ['upstream', 'endpoint'], help: 'Breaker of an endpoint: 0 closed (traffic flows), 1 half-open, 2 open.' },
  breakerOfMessage: { name: 'postern_message_breaker_state', type: 'gauge', labels: ['upstream', 'message'], help: 'Breaker of a message on its upstream, with message empty of the upstream itself: 0 closed, 1 half-open, 2 open. Only those that have failures to remember, or are held by hand.' },
  breakerHeld: { name: 'postern_breakers_held', type: 'gauge', labels: ['upstream', 'held'], help: 'Breakers of an upstream, its messages and its endpoints that are held open or closed by hand.' },
  ejected: { name: 'postern_endpoint_ejected', type: 'gauge', labels: ['upstream', 'endpoint'], help: '1 while the endpoint is ejected because it does worse than the others.' },
  degraded: { name: 'postern_degraded_total', type: 'counter', labels: ['upstream', 'answer'], help: 'Degraded answers in place of an error: a fixed body, or by the fallback upstream.' },
  endpointAvailable: { name: 'postern_endpoint_available', type: 'gauge', labels: ['upstream', 'endpoint'], help: '1 when the endpoint may be picked now.' },
  endpointInFlight: { name: 'postern_endpoint_in_flight', type: 'gauge', labels: ['upstream', 'endpoint'], help: 'Exchanges at an endpoint, from the beginning of their attempt until the end of the answer\'s body.' },
  endpointLimit: { name: 'postern_endpoint_limit', type: 'gauge', labels: ['upstream', 'endpoint'], help: 'Most exchanges at one time at an endpoint, where it has a limit of its own: maxPerEndpoint.' },
  endpointShare: { name: 'postern_endpoint_share', type: 'gauge', labels: ['upstream', 'endpoint'], help: 'Part of the upstream\'s calls that an endpoint gets by zone, weight, slow start and recovery, before times are compared (docs/BALANCING.md).' },
  endpointScore: { name: 'postern_endpoint_score_seconds', type: 'gauge', labels: ['upstream', 'endpoint'], help: 'Expected time to the response head, failures counted as slow: what peak-ewma goes by.' },
  overflow: { name: 'postern_overflow_total', type: 'counter', labels: ['upstream'], help: 'Attempts that went farther than to the nearest zone and datacenter.' },
  pool: { name: 'postern_pool_connections', type: 'gauge', labels: ['upstream', 'endpoint', 'state'], help: 'Connections to an endpoint: busy or idle.' },
  cacheRequests: { name: 'postern_cache_requests_total', type: 'counter', labels: ['upstream', 'message', 'result'], help: 'Exchanges by what the cache did: hit, stale (given out past its end), collapsed (with somebody else\'s answer), miss (asked for, for others too) or pass (past the cache).' },
  cacheForwards: { name: 'postern_cache_forwards_total', type: 'counter', labels: ['upstream', 'reason'], help: 'Why requests went to the origin, in the words of RFC 9211: uri-miss, vary-miss, stale, request, method, bypass.' },
  cacheNotStored: { name: 'postern_cache_not_stored_total', type: 'counter', labels: ['upstream', 'reason'], help: 'Why answers that were asked for on behalf of the cache were not stored.' },
  cacheBytes: { name: 'postern_cache_bytes', type: 'gauge', labels: [], help: 'Memory of stored answers, heads and keys counted.' },
  cacheArriving: { name: 'postern_cache_arriving_bytes', type: 'gauge', labels: [], help: 'Memory of bodies that are still arriving and are to be stored.' },
  cacheEntries: { name: 'postern_cache_entries', type: 'gauge', labels: [], help: 'Stored answers.' },
  cacheEvictions: { name: 'postern_cache_evictions_total', type: 'counter', labels: [], help: 'Answers that left because there was no more room, for all or for their message.' },
  cacheSecondUp: { name: 'postern_cache_second_level_up', type: 'gauge', labels: [], help: '1 while the second level is asked: connected, answering, and in step with the purges of other gateways.' },
  cacheSecondReads: { name: 'postern_cache_second_level_reads_total', type: 'counter', labels: ['result'], help: 'Questions to the second level: hit, miss, purged (found, and from before a purge), wrong (found, and no whole answer of ours), timeout, error, skipped (not asked: it is not up).' },
  cacheSecondWrites: { name: 'postern_cache_second_level_writes_total', type: 'counter', labels: ['result'], help: 'Answers for the second level: written, failed, or dropped (it is not up, or too many wait).' },
  cacheSecondBytes: { name: 'postern_cache_second_level_bytes_total', type: 'counter', labels: ['direction'], help: 'Bytes of values: read or written.' },
  cacheSecondPurges: { name: 'postern_cache_second_level_purges_total', type: 'counter', labels: ['direction'], help: 'Purges told to other gateways, and heard from them; late: times that a write was answered before all others had confirmed what it purged (cache.secondLevel.confirmMs).' },
  cachePurged: { name: 'postern_cache_purged_total', type: 'counter', labels: ['by'], help: 'Answers purged by an operator, by a write, or because another gateway told of a purge (gateway).' },
  cacheFills: { name: 'postern_cache_fills', type: 'gauge', labels: ['state'], help: 'Requests to origins on behalf of the cache: running, or waiting for their turn in the background.' },
  cacheAlarms: { name: 'postern_cache_alarms_total', type: 'counter', labels: ['upstream', 'kind'], help: 'Lifetimes that were cut before they left: lifetime-too-long, lifetime-unreadable (no number, or a Cache-Control that cannot be read), expires-no-date. At most one a minute for a message.' },
  outageCopies: { name: 'postern_outage_copies', type: 'gauge', labels: ['state'], help: 'Requests of cache.outage: held (there is a copy) or missing (there is none, or it was too old).' },
  outageBytes: { name: 'postern_outage_bytes', type: 'gauge', labels: [], help: 'Memory of outage copies; on disk they take about as much.' },
  outageAge: { name: 'postern_outage_oldest_age_seconds', type: 'gauge', labels: [], help: 'Age of the oldest outage copy: far above its everyMs, it cannot be fetched any more.' },
  outageFetches: { name: 'postern_outage_fetches_total', type: 'counter', labels: ['result'], help: 'Fetches for outage copies: kept, refused (answered, and may not be kept) or failed.' },
  outageAnswers: { name: 'postern_outage_answers_total', type: 'counter', labels: ['upstream', 'message'], help: 'Outage copies given to clients.' },
  clientConnections: { name: 'postern_client_connections', type: 'gauge', labels: [], help: 'Open connections of clients.' },
  registryUp: { name: 'postern_registry_up', type: 'gauge', labels: ['registry'], help: '1 while the last question to the registry was answered.' },
  registryAge: { name: 'postern_registry_age_seconds', type: 'gauge', labels: ['registry'], help: 'Since the registry\'s last good answer.' },
  registryErrors: { name: 'postern_registry_errors_total', type: 'counter', labels: ['registry'], help: 'Questions to the registry that failed: no answer, an error, or one that must not be believed.' },
  routes: { name: 'postern_routes', type: 'gauge', labels: ['state'], help: 'Names known, by state: routed, hidden, unread (its service\'s list is not read yet), cached (its service has left, and answers of it are stored), and so on. Names that postern routes shows as absent are not counted.' },
  conflicts: { name: 'postern_conflicts', type: 'gauge', labels: [], help: 'Message names that two services have and nobody has settled, and paths that two messages want.' },
  registrations: { name: 'postern_registrations', type: 'gauge', labels: ['state'], help: 'Registrations known, by state: routed, out, standby, waiting, critical, draining, ghost, stranger, unconfirmed, refused. docs/OPERATIONS.md says what each means.' },
  registryStale: { name: 'postern_registry_stale', type: 'gauge', labels: ['registry'], help: 'Registrations in force that the registry does not vouch for now: it does not answer, has not answered since the start, has forgotten them, or lists them in a form that cannot be read.' },
  registryDropped: { name: 'postern_registry_dropped', type: 'gauge', labels: ['registry'], help: 'Entries of the registry\'s last answer that cannot be read, or not whole; what was read of them before stays in force.' },
  stateKept: { name: 'postern_state_kept', type: 'gauge', labels: [], help: '1 while the last table is on disk as it is (dataDirectory), 0 while it cannot be written; no value before the first time, and where nothing is kept.' },
  moves: { name: 'postern_message_moves_total', type: 'counter', labels: ['reason'], help: 'Message names that changed hands: their owner had gone, no longer listed them (unlisted), did not answer (silent), is deployed under another name (replaced), was drained as a whole (drained) or took no connections any more (stopped) and is back (returned), or an operator said so (settled).' },
  tableSwaps: { name: 'postern_table_swaps_total', type: 'counter', labels: [], help: 'Route tables put in place.' },
  tableBuild: { name: 'postern_table_build_seconds', type: 'histogram', labels: [], buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1], help: 'Work on the main thread to build and swap a route table, all slices together.' },
  configReloads: { name: 'postern_config_reloads_total', type: 'counter', labels: ['result'], help: 'Changes of postern.yaml: accepted or refused.' },
  faults: { name: 'postern_faults_injected_total', type: 'counter', labels: ['upstream', 'fault'], help: 'Faults injected for game days: delay, abort or reset.' },
  shedLevel: { name: 'postern_shed_level', type: 'gauge', labels: [], help: 'Who is refused because the gateway is overloaded: 0 nobody, 1 sheddable messages, 2 normal ones too, 3 critical ones too.' },
  shedDelay: { name: 'postern_shed_event_loop_delay_seconds', type: 'gauge', labels: [], help: 'How late timers are, smoothed over a second: what shedding.eventLoopDelayMs is compared with.' },
  ready: { name: 'postern_ready', type: 'gauge', labels: [], help: '1 when /readyz says yes.' },
  logDropped: { name: 'postern_log_dropped_total', type: 'counter', labels: [], help: 'Log lines lost because their destination was full, slow or closed.' },
  build: { name: 'postern_build_info', type: 'gauge', labels: ['version', 'node'], help: 'Always 1.' }
} as const satisfies Record<string, MetricSpec>

/** Metrics of the process itself come from prom-client under their usual names (process_*, nodejs_*): docs/METRICS.md says so. */
export type MetricName = keyof typeof metricTable
