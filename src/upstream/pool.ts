// The keep-alive connections to one endpoint: a free list, one exchange at a time on each.
import type { LookupFunction } from 'node:net'
import { readFileSync } from 'node:fs'
import type { EndpointAddress } from '../registry/registration.ts'
import type { Attempt } from '../exchange/attempt.ts'
import type { Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import { UpstreamAttempt } from './attempt.ts'
import { UpgradeAttempt } from './upgrade-attempt.ts'
import { Connection, type ConnectionOwner } from './http1/connection.ts'
import { Connector, type ConnectorTls } from './http1/connector.ts'

/** TLS towards the endpoints of an upstream. File names, as in postern.yaml. */
export interface UpstreamTls {
  readonly caFile?: string
  readonly serverName?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly verify: boolean
}

/** Kestrel keeps an idle connection for 130 s, Node for 5 s (and says so in Keep-Alive, which is heeded). */
const idleConnectionMs = 15_000
const longestIdleConnectionMs = 60_000
/** What an endpoint keeps so long is given up before: a request under way would meet its closing. */
const keepAliveMarginMs = 2_000

/** The number of connections is bounded by the upstream's bulkhead: there is one for each exchange in flight. */
export class EndpointPool implements ConnectionOwner {
  readonly #basePath: string
  readonly tls: ConnectorTls | undefined
  readonly #connector: Connector
  /** Used last, used first: those that are not needed grow old. */
  readonly #free: Connection[] = []
  #inFlight = 0
  /** Most connections in use at once since the last trim. */
  #peak = 0
  #closed = false
  /** When its last connection went, or it was made, performance.now(). */
  #emptySinceMs = performance.now()
  /** Where its host name leads; undefined: it has none, or nobody has said. */
  #ips: readonly string[] | undefined

  /** Those that have carried an answer. */
  #proven = 0

  readonly #onCut: (isLast: boolean) => void

  /** `onCut`: the other end closed a connection; `isLast`: no other one is left that has carried an answer. */
  constructor ({ origin, basePath }: EndpointAddress, tls: UpstreamTls | undefined, lookup: LookupFunction, onCut: (isLast: boolean) => void) {
    this.#onCut = onCut
    this.#basePath = basePath
    this.tls = tls === undefined ? undefined : readTls(tls)
    this.#connector = new Connector(origin, this.tls, lookup)
  }

  get inFlight (): number { return this.#inFlight }
  get idle (): number { return this.#free.length }
  /** No connection is open, on which the end of the process would show. */
  get isEmpty (): boolean { return this.#inFlight === 0 && this.#free.length === 0 }
  get emptySinceMs (): number { return this.#emptySinceMs }

  /**
   * One request. `fresh` takes a connection that was not used before: after an endpoint closed a kept one.
   * @throws GatewayError by the promise: ConnectFailed, ConnectTimeout, ConnectionClosed, HeadersTimeout, BadAnswer, or why the exchange ended
   */
  request (exchange: Exchange, attempt: Attempt, fresh: boolean): Promise<UpstreamResponse> {
    const handler = new UpstreamAttempt(exchange, attempt)
    const kept = fresh ? undefined : this.#free.pop()
    let connection: Connection
    if (kept !== undefined) connection = kept
    else {
      try {
        connection = new Connection(this, this.#connector, exchange.route.policy.connectTimeoutMs)
      } catch (error) {
        // Certificates that cannot be used are found out when they are.
        handler.onError(error as Error)
        return handler.response
      }
    }
    connection.free = false
    if (++this.#inFlight > this.#peak) this.#peak = this.#inFlight
    handler.begin(connection, this.#basePath)
    return handler.response
  }

  /** The handshake of a WebSocket, on a connection that is never one of ours to keep. @throws GatewayError by the promise, as `request` */
  upgrade (exchange: Exchange, attempt: Attempt): Promise<UpstreamResponse> {
    const handshake = new UpgradeAttempt(exchange, attempt)
    handshake.begin(this.#connector, this.#basePath)
    return handshake.response
  }

  /** Lets go of connections that the time since the last call did not need. */
  trim (): void {
    const spare = this.#inFlight + this.#free.length - this.#peak
    for (let i = 0; i < spare; i++) this.#free.shift()?.close()
    this.#peak = this.#inFlight
  }

  /** Where its host name leads from now on. A connection to anywhere else is given up: when idle at once, else when its exchange ends. */
  lead (ips: readonly string[] | undefined): void {
    this.#ips = ips
    for (const connection of this.#free.filter(kept => !this.#isLedTo(kept))) connection.close()
  }

  #isLedTo ({ peer }: Connection): boolean {
    return this.#ips === undefined || (peer !== undefined && this.#ips.includes(peer))
  }

  /** Closes idle connections now and those in use when their exchange ends. */
  close (): void {
    this.#closed = true
    for (const connection of this.#free.splice(0)) connection.close()
  }

  onFree (connection: Connection, keepAliveMs: number | undefined): void {
    const idleMs = keepAliveMs === undefined ? idleConnectionMs : Math.min(keepAliveMs - keepAliveMarginMs, longestIdleConnectionMs)
    if (this.#closed || idleMs <= 0 || !this.#isLedTo(connection)) return connection.close()
    this.#inFlight--
    if (!connection.proven) this.#proven++
    connection.proven = true
    connection.free = true
    connection.watch(idleMs)
    this.#free.push(connection)
  }

  onGone (connection: Connection): void {
    if (connection.proven) this.#proven--
    const at = connection.free ? this.#free.indexOf(connection) : -1
    if (at !== -1) this.#free.splice(at, 1)
    if (!connection.free) this.#inFlight--
    if (this.isEmpty) this.#emptySinceMs = performance.now()
  }

  onCut (): void {
    if (!this.#closed) this.#onCut(this.#proven === 0)
  }
}

function readTls (tls: UpstreamTls): ConnectorTls {
  return {
    ...tls.caFile !== undefined && { ca: readFileSync(tls.caFile) },
    ...tls.certFile !== undefined && { cert: readFileSync(tls.certFile) },
    ...tls.keyFile !== undefined && { key: readFileSync(tls.keyFile) },
    ...tls.serverName !== undefined && { serverName: tls.serverName },
    verify: tls.verify
  }
}
