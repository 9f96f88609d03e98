// One request to the origin on behalf of all who wait for the same answer: a task of its own, which no client can cancel.
import { GatewayError, toGatewayError } from '../exchange/errors.ts'
import type { Exchange, Informational, UpstreamResponse } from '../exchange/exchange.ts'
import { headerValue } from '../exchange/headers.ts'
import { meaningful } from './answers.ts'
import { ArrivingBody } from './arriving-body.ts'
import { drafted } from './draft.ts'
import type { EntryHead, Terms } from './entry.ts'
import type { FillOptions } from './fill-options.ts'
import type { FillAnswer, NotKept } from './fill-result.ts'
import { freshened } from './freshen.ts'
import { dated } from './freshness.ts'
import { cookies, isNoWordOn, isWithdrawn, isWithdrawnUnchanged, mayStandIn, mayStore } from './policy.ts'
import { question } from './question.ts'
import type { CacheRequest } from './request.ts'
import type { CacheRules } from './rules.ts'
import { Reservation } from './room.ts'
import { countsAsError } from './stand-in.ts'
import { apart, keptBody, Stored, type Draft, type Place } from './stored.ts'

export class Fill {
  readonly place: Place
  readonly request: CacheRequest
  readonly startedAtMs = Date.now()
  /** The client that came first. */
  readonly client: Exchange
  readonly #options: FillOptions
  /** Purges before it asked: those that come later may mean its answer. */
  readonly #since: number
  #exchange: Exchange
  /** What of its client's own words the service was told; undefined: all, for the answer is for him alone. */
  #asked: ReadonlySet<string> | undefined
  #previous: Stored | undefined
  #repeated = false
  #requestAtMs = 0
  /** Fields of the answer that are not stored (Set-Cookie, what private names): for the one client that asked. Flat list. */
  own: readonly string[] = []
  /** When it is over, for whoever bounds how many run. */
  readonly finished: Promise<void>
  readonly #finish: () => void

  /** `exchange`: of the client that came first; the fill takes its request over, not the exchange. */
  constructor (exchange: Exchange, options: FillOptions) {
    this.place = options.place
    this.request = options.request
    this.#options = options
    this.client = exchange
    this.#previous = options.previous
    this.#since = options.store.purges.count
    this.#exchange = this.#makeExchange()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.finished = promise
    this.#finish = resolve
  }

  get rules (): CacheRules { return this.#options.rules }
  get waitsFor (): string | undefined { return this.#exchange.waitsFor }

  start (): void {
    void this.#run()
  }

  /** What the service says ahead of its answer (RFC 9110 section 15.2) goes to the client whose request it is, while he waits for it; nobody stores it. */
  inform (informational: Informational): void {
    if (this.#options.owner.awaits(this.client)) this.client.informed?.inform(informational)
  }

  /** The client that came first is shown what its answer took. */
  shownTo (exchange: Exchange): void {
    exchange.attempts.push(...this.#exchange.attempts)
    exchange.endpoint = this.#exchange.endpoint
  }

  /** How long whoever joined then has waited for the second level. Milliseconds. */
  sharedSince (joinedAtMs: number): number {
    return this.#options.share?.waitedSince(joinedAtMs) ?? 0
  }

  /** Somebody waits for it who has spent so much of the one wait for the second level elsewhere. Milliseconds. */
  joined (spentMs: number): void {
    this.#options.share?.joined(spentMs)
  }

  async #run (): Promise<void> {
    const asked = this.#options.share?.find()
    const found = asked === undefined ? undefined : await asked
    if (found !== undefined && this.#options.store.put(found, this.#since)) return this.#settle({ kind: 'found' })
    this.#requestAtMs = Date.now()
    let response: UpstreamResponse
    try {
      response = meaningful(await this.#options.path(this.#exchange), this.#previous !== undefined)
    } catch (thrown) {
      this.#settle({ kind: 'failed', error: toGatewayError(thrown) })
      return
    }
    const { status, reason, headers } = response
    const head = dated({ status, reason, headers, requestAtMs: this.#requestAtMs, responseAtMs: Date.now() })
    if (status === 304 && this.#previous !== undefined) this.#notModified(head, this.#previous, response)
    else this.#answered(head, response)
  }

  #keep (stored: Stored): boolean {
    const kept = this.#options.store.put(stored, this.#since)
    if (kept) this.#options.share?.tell(stored)
    return kept
  }

  #answered (head: EntryHead, response: UpstreamResponse): void {
    const { rules, told, events, store } = this.#options
    const previous = this.#previous
    // It went on at another service: what that answers is not the first one's.
    if (this.#exchange.upstream.name !== this.place.upstream) {
      this.#previous = undefined
      return this.#notStored(response, 'status', false)
    }
    // It is for whoever says nothing of himself: asked once more with what its service looks at.
    if (rules.forAll.tell(head.headers, this.client, told, this.#asked)) {
      if (this.#repeated) return this.#notStored(response, 'vary-any', true, true)
      response.body.cancel(new GatewayError('ClientClosed'))
      return this.#repeat()
    }
    const decision = mayStore(this.request, head, rules)
    if (!decision.store) return this.#notStored(response, decision.reason, decision.hitForMiss, this.#asked !== undefined && rules.forAll.mayRefusePlain(head.status, this.client, this.request))
    // An error that may be kept is no reason to lose the answer that may stand in for it (RFC 5861 section 4).
    if ((countsAsError(head.status) || isNoWordOn(head)) && previous !== undefined && mayStandIn(this.request, previous, head.responseAtMs, rules)) return this.#notStored(response, 'status', false)
    const length = Number(headerValue(head.headers, 'content-length') ?? 0)
    if (length > store.limits.maxEntryBytes) return this.#notStored(response, 'too-large', true)
    const whole = response.body.takeWhole()
    const reserved = new Reservation(store.arriving)
    if (whole === undefined && !reserved.upTo(length)) return this.#notStored(response, 'no-room', false)
    const draft = this.#drafted(head, decision.terms)
    events.storable(this, draft)
    if (whole !== undefined) {
      this.#stored(new Stored(draft, typeof whole === 'string' ? whole : keptBody([whole])), head.status)
      return
    }
    const arriving: ArrivingBody = new ArrivingBody(response.body, this.#exchange.route.policy.bodyIdleTimeoutMs, reserved, {
      begun: kept => this.#options.owner.settle(this, { kind: 'arriving', draft, status: head.status, kept, read: () => arriving.read() }),
      whole: chunks => {
        this.#keep(new Stored(draft, keptBody(chunks)))
        this.#over()
      },
      notKept: () => {
        events.notStored(this, { reason: reserved.refused!, forNext: reserved.refused === 'too-large', status: head.status })
        this.#over()
      },
      failed: error => this.#broken(arriving.begun, error)
    })
    arriving.start()
  }

  /** The origin broke off. Those who have bytes are cut; where nobody has, all share one second attempt. */
  #broken (begun: boolean, error: GatewayError): void {
    if (begun || this.#repeated || !this.#options.owner.isAwaited) this.#settle({ kind: 'failed', error })
    else this.#repeat()
  }

  #repeat (): void {
    this.#repeated = true
    this.#exchange = this.#makeExchange()
    this.start()
  }

  #notModified (head: EntryHead, previous: Stored, { body }: UpstreamResponse): void {
    const { rules } = this.#options
    body.takeWhole()
    // A cookie says nothing of the content, which is here: it is for the one who asked.
    const { kept: update, own } = rules.config.setCookie === 'store' ? { kept: head, own: [] } : apart(head, cookies)
    const fresh = freshened(previous.head, update)
    const decision = fresh === undefined ? undefined : mayStore(this.request, fresh, rules)
    if (fresh !== undefined && decision?.store === true) {
      const stored = new Stored(this.#drafted(fresh, decision.terms), previous.body)
      stored.hits = previous.hits
      this.own = [...this.own, ...own]
      this.#stored(stored, head.status)
      return
    }
    // It speaks of another answer, or may not be kept any more: asked for once more, without conditions.
    if (decision?.store !== false || isWithdrawnUnchanged(decision.reason)) this.#withdraw(previous)
    this.#previous = undefined
    this.#repeat()
  }

  #stored (stored: Stored, status: number): void {
    this.#settle({ kind: 'whole', draft: stored, status, kept: this.#keep(stored) })
  }

  /** `plain`: whose request it was asks anew as well. */
  #notStored (response: UpstreamResponse, reason: NotKept, forNext: boolean, plain = false): void {
    this.#options.events.notStored(this, { reason, forNext, status: response.status })
    if (this.#previous !== undefined && isWithdrawn(this.request, response.status, reason, this.#options.rules)) this.#withdraw(this.#previous)
    this.#settle({ kind: 'not-stored', response, plain })
  }

  /** Gone here for whoever comes later, and from where it is shared if that can be reached. */
  #withdraw (previous: Stored): void {
    this.#options.store.remove(previous)
    this.#options.share?.withdraw(previous)
  }

  #settle (answer: FillAnswer): void {
    this.#options.owner.settle(this, answer)
    this.#over()
  }

  #over (): void {
    this.#options.owner.over(this)
    this.#finish()
  }

  #drafted (head: EntryHead, terms: Terms): Draft {
    const { guard, request, place, store, again } = this.#options
    const { draft, own } = drafted({ head, terms, request, place, guard, again, varyOf: store.varyOf(place.key), endpointUrl: this.#exchange.endpoint?.url ?? this.#previous?.endpointUrl })
    this.own = own
    return draft
  }

  #makeExchange (): Exchange {
    const { rules, told } = this.#options
    this.#asked = rules.config.identity.mode === 'perIdentity' && this.request.identity !== '' ? undefined : new Set(told)
    const exchange = question(this.client, this.#previous, rules, this.#asked)
    const overdue = (): void => this.#options.owner.overdue(this)
    exchange.onOverdue = overdue
    exchange.informed = this
    return exchange
  }
}
