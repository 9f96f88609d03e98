// An answer that many want and that is not here: one of them asks the origin, and one more each time that takes too long; the first answer is for all.
import { GatewayError } from '../exchange/errors.ts'
import type { Exchange } from '../exchange/exchange.ts'
import type { Fill } from './fill.ts'
import type { FillAnswer, FillOwner, FillResult } from './fill-result.ts'
import { reuse } from './policy.ts'
import type { CacheRequest } from './request.ts'
import { selects, type Selector } from './purge-log.ts'
import { variantOf } from './vary.ts'

/** Somebody who wants it. */
export interface Asker {
  readonly exchange: Exchange
  readonly request: CacheRequest
  /** Of the one wait that there is for the second level. Milliseconds. */
  readonly spentMs: number
  /** Whether breakers let it through now. */
  isAdmitted (): boolean
  /** Makes a fill of its request, to be started. */
  ask (owner: FillOwner, spentMs: number): Fill
  /** Whether something stored is given in place of this failure. */
  standsInFor (error: GatewayError): boolean
}

/** What one of them is told. */
export interface Waited {
  readonly result: FillResult
  /** By the request of somebody else. */
  readonly collapsed: boolean
  /** Fields of the answer for the one whose request it was, and nobody else. Flat list. */
  readonly own: readonly string[]
  /** Of the one wait that there is for the second level, by now. Milliseconds. */
  readonly spentMs: number
}

interface Waiter {
  readonly asker: Asker
  readonly done: (waited: Waited) => void
  /** Its own request, while it is under way. */
  fill: Fill | undefined
  /** Of the wait for the second level: until `sinceMs`, performance.now(). */
  spentMs: number
  sinceMs: number
}

interface Arriving {
  readonly fill: Fill
  readonly answer: FillAnswer & { readonly kind: 'arriving' }
}

export interface SharedAnswerOptions {
  readonly key: string
  /** How long nobody else is asked. Milliseconds. */
  readonly waitMs: number
  /** Nobody is asked any more. */
  readonly onOver: (answer: SharedAnswer) => void
}

export class SharedAnswer implements FillOwner {
  readonly key: string
  readonly #waitMs: number
  readonly #onOver: (answer: SharedAnswer) => void
  readonly #waiters = new Set<Waiter>()
  /** Requests under way, without an answer. */
  readonly #asked = new Set<Fill>()
  #newest: Fill | undefined
  /** Everybody reads along with it. */
  #arriving: Arriving | undefined
  /** The newest request takes too long, and nobody else was there to ask. */
  #isDue = false
  #timer: NodeJS.Timeout | undefined

  constructor ({ key, waitMs, onOver }: SharedAnswerOptions) {
    this.key = key
    this.#waitMs = waitMs
    this.#onOver = onOver
  }

  /** Requests under way, answers that arrive among them. */
  get running (): number { return this.#asked.size + (this.#arriving === undefined ? 0 : 1) }

  /** Waits for it, or reads along where it is arriving already; asks where nobody does, or whoever does takes too long. */
  wait (asker: Asker): Promise<Waited> {
    const sinceMs = performance.now()
    return new Promise(resolve => {
      const waiter: Waiter = { asker, done: resolve, fill: undefined, spentMs: asker.spentMs, sinceMs }
      const arriving = this.#arriving
      if (arriving !== undefined) return this.#release(waiter, this.#resultFor(waiter, arriving.fill, arriving.answer), arriving.fill)
      this.#waiters.add(waiter)
      const asked = (): Fill | undefined => waiter.fill ?? this.#newest
      asker.exchange.waiting({
        get waitsFor () { return asked()?.waitsFor ?? 'shared answer' },
        cancel: error => { this.#release(waiter, { kind: 'failed', error }, waiter.fill) }
      })
      if (this.#asked.size === 0 || this.#isDue) return this.#ask(waiter)
      this.#newest!.joined(waiter.spentMs)
      this.#timer ??= setTimeout(() => this.#tooLong(), this.#waitMs)
    })
  }

  /** A request that nobody waits for. */
  begin (fill: Fill): void {
    this.#asked.add(fill)
    this.#newest = fill
    this.#isDue = false
    fill.start()
  }

  /** Whether a purge may mean what was asked for: tags are known of an answer that is arriving. */
  isMeantBy (selector: Selector): boolean {
    for (const { place } of this.#asked) if (selector.kind === 'tag' || selects(selector, place, none)) return true
    return this.#arriving !== undefined && selects(selector, this.#arriving.fill.place, this.#arriving.answer.draft.terms.tags)
  }

  // ---- called by fills ----

  get isAwaited (): boolean { return this.#waiters.size > 0 }

  awaits (client: Exchange): boolean {
    for (const { asker: { exchange } } of this.#waiters) if (exchange === client) return true
    return false
  }

  /** A breaker counts the call as too slow: one call that hangs must neither hold up everybody nor be all that a breaker sees. */
  overdue (fill: Fill): void {
    if (fill === this.#newest) this.#tooLong()
  }

  /** The first answer is for all whom it may be given to; what is none leaves to wait whoever has a request of his own under way, and a failure everybody, while another may be answered. */
  settle (fill: Fill, answer: FillAnswer): void {
    if (!this.#asked.delete(fill)) return
    if (answer.kind === 'arriving') this.#arriving ??= { fill, answer }
    // Whose request it was gets what came, for it may be his alone; if he is gone, nobody.
    if (answer.kind === 'not-stored' && (answer.plain || !this.awaits(fill.client))) answer.response.body.cancel(new GatewayError('ClientClosed'))
    for (const waiter of [...this.#waiters]) {
      const result = this.#resultFor(waiter, fill, answer)
      const isMine = waiter.fill === fill
      const waitsOn = (isNone.has(result.kind) && waiter.fill !== undefined && !isMine) || (result.kind === 'failed' && this.#asked.size > 0 && !waiter.asker.standsInFor(result.error))
      if (!waitsOn) this.#release(waiter, result, fill)
      else if (isMine) waiter.fill = undefined
    }
    if (this.#asked.size > 0 && this.#waiters.size > 0) this.#timer ??= setTimeout(() => this.#tooLong(), this.#waitMs)
    this.#endIfOver()
  }

  over (fill: Fill): void {
    this.#asked.delete(fill)
    if (this.#arriving?.fill === fill) this.#arriving = undefined
    this.#endIfOver()
  }

  /** One of those who have no request under way asks; where breakers let nobody through none of them waits any longer. */
  #tooLong (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const next = this.#follower()
    if (next === undefined) this.#isDue = true
    else if (next.asker.isAdmitted()) this.#ask(next)
    else for (const waiter of [...this.#waiters]) if (waiter.fill === undefined) this.#release(waiter, { kind: 'refused' }, undefined)
  }

  #ask (waiter: Waiter): void {
    const nowMs = performance.now()
    for (const each of this.#waiters) {
      each.spentMs = this.#spentBy(each)
      each.sinceMs = nowMs
    }
    const fill = waiter.asker.ask(this, waiter.spentMs)
    for (const each of this.#waiters) if (each !== waiter) fill.joined(each.spentMs)
    waiter.fill = fill
    clearTimeout(this.#timer)
    this.#timer = this.#follower() === undefined ? undefined : setTimeout(() => this.#tooLong(), this.#waitMs)
    this.begin(fill)
  }

  /** Who waits longest without a request of his own under way. */
  #follower (): Waiter | undefined {
    for (const waiter of this.#waiters) if (waiter.fill === undefined) return waiter
    return undefined
  }

  #spentBy ({ spentMs, sinceMs }: Waiter): number {
    return spentMs + (this.#newest?.sharedSince(sinceMs) ?? 0)
  }

  /** Whose request it was may have the answer whatever it says; the others, where a stored one could be given to them (RFC 9111 section 4). */
  #resultFor ({ asker: { request }, fill: own }: Waiter, fill: Fill, answer: FillAnswer): FillResult {
    const isMine = own === fill
    switch (answer.kind) {
      case 'whole':
      case 'arriving': {
        const { draft, status } = answer
        if (variantOf(draft.terms.vary, request.headers) !== draft.variant) return { kind: 'again' }
        if (!isMine && reuse(request, draft, Date.now(), fill.rules).use !== 'stored') return { kind: 'alone', status }
        return answer.kind === 'whole' ? answer : { kind: 'arriving', draft, status, kept: answer.kept, body: answer.read() }
      }
      case 'not-stored': return isMine && !answer.plain ? { kind: 'own', response: answer.response } : { kind: 'alone', status: answer.response.status }
      default: return answer
    }
  }

  #release (waiter: Waiter, result: FillResult, by: Fill | undefined): void {
    const { asker: { exchange }, done, fill } = waiter
    this.#waiters.delete(waiter)
    exchange.waiting(undefined)
    const isMine = fill !== undefined && fill === by
    if (isMine) fill.shownTo(exchange)
    done({ result, collapsed: !isMine, own: isMine ? fill.own : none, spentMs: this.#spentBy(waiter) })
  }

  #endIfOver (): void {
    if (this.running > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#onOver(this)
  }
}

const none: readonly string[] = []
/** Results that are no answer for the one who gets them. */
const isNone: ReadonlySet<FillResult['kind']> = new Set(['again', 'alone', 'failed'])
