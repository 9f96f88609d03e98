// The words of the request path: one request and its response on the way through. No I/O.
import type { Duplex, Readable } from 'node:stream'
import type { ResolvedPolicy } from '../config/resolve.ts'
import type { Linked } from '../lib/linked-list.ts'
import type { Attempt } from './attempt.ts'
import type { AdmittedCall } from './breakers.ts'
import type { Deadlines } from './deadlines.ts'
import type { Effect } from './effect.ts'
import type { GatewayError } from './errors.ts'
import type { EndpointHandle, UpstreamHandle } from './handles.ts'
import type { Rest } from './selection.ts'
import type { Meter, PartMeter, ResponseTimes } from './counts.ts'
import type { ResponseBody } from './response-body.ts'
import type { Next } from './compose.ts'

export { Attempt } from './attempt.ts'
export type { Budget, Meter, PartMeter, ResponseTimes } from './counts.ts'
export type { EndpointHandle, UpstreamHandle } from './handles.ts'

/** What the client asked, as the listener read it. Header lists are flat: name, value, name, value. */
export interface ClientRequest {
  readonly method: string
  /** The request target as received (origin form), path and query. */
  readonly target: string
  readonly httpVersion: '1.0' | '1.1' | '2.0'
  readonly scheme: 'http' | 'https'
  /** Host or :authority as received; empty for an HTTP/1.0 client that sent none. */
  readonly authority: string
  /** The one resolved client address: behind trusted proxies the one they name. */
  readonly clientAddress: string
  /** Whether the connection comes from a trusted proxy. */
  readonly trusted: boolean
  /** Correlation id: made here, or taken from a trusted proxy. */
  readonly correlationId: string
  /** W3C trace id, 32 hex digits. */
  readonly traceId: string
}

/** The request body on its way up. `held` bodies can be sent again; a stream only while nothing was read from it. */
export type RequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'held', readonly bytes: Buffer }
  | { readonly kind: 'stream', readonly stream: Readable, readonly contentLength: number | undefined }

/** The request as an endpoint gets it. */
export interface UpstreamRequest {
  readonly method: string
  /** Path and query below the endpoint's base path, bytes as the client sent them wherever nothing had to change. */
  readonly path: string
  /** The path without its query, in one spelling for all that mean the same: what caches compare. */
  readonly canonicalPath: string
  /** End-to-end headers in the client's order, with ours appended; no Host. Flat list. */
  readonly headers: string[]
  body: RequestBody
  /** What repeating the request does (`effectOfCall`): what retry, hedging, mirroring and caching ask. */
  readonly effect: Effect
  /** Routes of the messages of the upstream that the path of a prefix route leads to: an open breaker of theirs keeps it out too, and what they write they write by it as well. */
  readonly reached: readonly Route[]
}

export interface UpstreamResponse {
  readonly status: number
  /** Reason phrase as the service sent it: it carries ServiceStack's error code. */
  readonly reason: string
  /** End-to-end headers as received, in order and letter case. Flat list. */
  readonly headers: readonly string[]
  readonly body: ResponseBody
  /** How a strict parser has just read it, where it did: nothing in reason and lines could end a line before its end. */
  readonly read?: ReadHeaders | undefined
  /** Of the endpoint that a stored answer once came from; left out for what an attempt of this exchange got. */
  readonly endpointUrl?: string | undefined
  /** With 101: the connection, for whoever carries it from now on. Cancelling the body closes it. */
  readonly socket?: Duplex | undefined
  /** Of an answer whose head many exchanges get within a moment. */
  readonly shared?: SharedHead | undefined
}

/** It holds for the list that is `headers` here, and for no other. */
export interface ReadHeaders {
  readonly headers: readonly string[]
  /** All of them as lines of text; undefined where they are not. */
  readonly lines: string | undefined
}

/** Where the listener keeps what it makes of a head that it is given time and again: status, `headers` and `added` are the same then. */
export interface SharedHead {
  /** What `addedHeaders` is in each of these exchanges. */
  readonly added: readonly string[]
  uses: number
  /** Status line and fields, but for what is each client's own; and what Content-Length is in them. */
  text: string | undefined
  length: string
}

/** What holds for one route, every default filled in: `config/schema/policy.ts` says what each field is. */
export type Policy = ResolvedPolicy

/** What clients write, and what it is replaced by on the way to the upstream. */
export interface Rewrite {
  readonly prefix: string
  readonly to: string
}

/** An entry of the route table. */
export interface Route {
  readonly kind: 'message' | 'custom' | 'prefix'
  /** The message's name as its service lists it, or the prefix pattern. A closed set: safe as a metric label. */
  readonly name: string
  readonly upstream: UpstreamHandle
  /** Keys of the endpoints that have this message; undefined = those of the upstream that may get anything. */
  readonly endpoints: ReadonlySet<string> | undefined
  readonly rewrite?: Rewrite | undefined
  /** Other upstreams that a split may send it to, with those of their endpoints that have it. */
  readonly alternatives?: ReadonlyMap<string, ReadonlySet<string> | undefined> | undefined
  readonly policy: Policy
  /** The message's own effect, from postern.yaml or its marker; undefined = the effective method decides. */
  readonly effect: Effect | undefined
  /** Kept where hedging is on. */
  readonly times: ResponseTimes | undefined
  readonly meter: Meter
  readonly handle: Next
  /** The route of the same message in the table in force, for whoever has waited; undefined by then: it is not routed any more. Left out: it is no message's. */
  readonly inForce?: (() => Route | undefined) | undefined
}

/** Whatever an exchange waits for: a queue, an attempt. */
export interface Cancellable {
  /** In words, for whoever reads that a deadline ended it. */
  readonly waitsFor?: string | undefined
  /** The exchange ends early, for this reason. */
  cancel (error: GatewayError): void
}

/** A 1xx answer of the service. */
export interface Informational {
  readonly status: number
  readonly headers: string[]
}

export interface Informed {
  inform (informational: Informational): void
}

/** Called when an exchange is over. `response` when there was one; `error` when it failed, or its body did. */
export type EndListener = (exchange: Exchange, response: UpstreamResponse | undefined, error: GatewayError | undefined) => void

const none: readonly string[] = []

/** One request and its response on the way through. Created with all its fields in one place; filters only assign. */
export class Exchange implements Linked<Exchange> {
  readonly request: ClientRequest
  readonly upstreamRequest: UpstreamRequest
  readonly route: Route
  /** Where it goes: the route's own, unless a filter sends it elsewhere (another part of a split, a fallback). */
  upstream: UpstreamHandle
  /** Keys of the endpoints it may go to; undefined = those of the upstream that may get anything. */
  endpoints: ReadonlySet<string> | undefined
  /** Whose endpoints these are: the route's, or what the table has made of it since (follow.ts). */
  follows: Route
  /** Where it goes when none of them may be called: what no part of a split has taken, of the upstream that it follows. Undefined: nowhere else. */
  spare: Rest | undefined = undefined
  /** The part of a split it belongs to. */
  part: PartMeter | undefined = undefined
  /** performance.now() when the request head had been read. */
  readonly startedAtMs: number
  readonly attempts: Attempt[] = []
  /** performance.now() at which the budget ends; Infinity where there is none. */
  deadlineAtMs: number
  /** How long a trusted caller said that it waits, from the request head on. */
  callerTimeoutMs: number | undefined = undefined
  /** The header that tells an endpoint how long it is waited for; undefined where it is not told. */
  timeoutHeader: string | undefined = undefined
  /** A WebSocket is asked for: the "body" of a 101 ends when the client's socket does. */
  upgrade = false
  /** A branch for a second attempt beside one that is under way. */
  isHedge = false
  /** A copy for another upstream: it touches nobody. */
  isMirrored = false
  /** What another answer stands in for: an error, or the service's own status. That answer (stale, another upstream's, a fixed one, an outage copy) is never stored. */
  degradedBy: GatewayError | number | undefined = undefined
  /** What the breakers in front of its upstream's queue are told of it by. */
  admitted: AdmittedCall | undefined = undefined
  /** Whose bulkhead slot it holds. */
  slot: UpstreamHandle | undefined = undefined
  /** The endpoint of the current attempt. */
  endpoint: EndpointHandle | undefined = undefined
  /** What the last attempt failed with. */
  lastError: GatewayError | undefined = undefined
  /** One more attempt was due, and the upstream's budget had none left. */
  retryRefused = false
  /** Why the exchange must end: the deadline, or the client that left. */
  ended: GatewayError | undefined = undefined
  /** Called when a breaker counts its attempt as too slow, although it goes on. */
  onOverdue: (() => void) | undefined = undefined
  /** Who passes 1xx answers of the service on to the client. */
  informed: Informed | undefined = undefined
  /** What a filter adds to whatever the client gets, a local reply too. Flat list. */
  addedHeaders: readonly string[] = none
  /** What the cache did, in one word, for the log; undefined where there is none. */
  cached: string | undefined = undefined
  /** What ends it when its deadline comes, from its first wait until the response head. */
  deadlines: Deadlines | undefined = undefined
  previous: Exchange | undefined = undefined
  next: Exchange | undefined = undefined
  /** Called when it has to wait for the first time: what is answered at once, from the cache, needs no timer. */
  onFirstWait: ((exchange: Exchange) => void) | undefined = undefined
  #waiting: Cancellable | undefined = undefined
  #endListeners: EndListener[] = []

  constructor (request: ClientRequest, upstreamRequest: UpstreamRequest, route: Route, startedAtMs: number) {
    this.request = request
    this.upstreamRequest = upstreamRequest
    this.route = route
    this.upstream = route.upstream
    this.endpoints = route.endpoints
    this.follows = route
    this.startedAtMs = startedAtMs
    this.deadlineAtMs = startedAtMs + route.policy.deadlineMs
  }

  /**
   * Registers what to do when the exchange ends early, for whatever is waiting right now (queue, back-off, attempt).
   * One at a time: an exchange is one thread of control.
   */
  waiting (what: Cancellable | undefined): void {
    this.#waiting = what
    if (what === undefined || this.onFirstWait === undefined) return
    const { onFirstWait } = this
    this.onFirstWait = undefined
    onFirstWait(this)
  }

  /** The client's authority where the upstream that it goes to by now wants it (preserveHost); undefined: the endpoint's own. */
  get host (): string | undefined { return this.upstream.preserveHost && this.request.authority !== '' ? this.request.authority : undefined }

  /** What it waits for right now. */
  get waitsFor (): string | undefined { return this.#waiting?.waitsFor }

  /**
   * What a filter holds is given back here: when the body was delivered or broke, or when the exchange failed. Listeners are functions of
   * their module, not closures: this is paid per request. Those that registered last are called first.
   */
  atEnd (listener: EndListener): void {
    this.#endListeners.push(listener)
  }

  /**
   * The same exchange for a second attempt beside one that is under way: everything of it, attempts included, but a wait of its own. What
   * filters below hold for it is given back with the whole exchange.
   */
  branch (): Exchange {
    const branch = Object.assign(new Exchange(this.request, this.upstreamRequest, this.route, this.startedAtMs), this)
    branch.#endListeners = this.#endListeners
    branch.isHedge = true
    // The exchange itself watches the deadline for it.
    branch.onFirstWait = branch.deadlines = branch.previous = branch.next = undefined
    // The client has been told by the first what is on its way.
    branch.informed = undefined
    return branch
  }

  /** The exchange is over. Called once, by `settle`. */
  over (response: UpstreamResponse | undefined, error: GatewayError | undefined): void {
    for (const attempt of this.attempts) attempt.leave()
    for (let i = this.#endListeners.length - 1; i >= 0; i--) this.#endListeners[i]!(this, response, error)
  }

  /** Ends the exchange early: whatever waits is told, and nothing further is started. The first reason stays. */
  end (error: GatewayError): void {
    if (this.ended !== undefined) return
    this.ended = error
    this.interrupt(error)
  }

  /** Ends only what it waits for right now: it goes on in another way. */
  interrupt (error: GatewayError): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.cancel(error)
  }
}
