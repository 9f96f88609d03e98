// Heads that hits are answered with, Age included: made once a second for as many hits as there are in it, and of so many answers at most.
import type { SharedHead } from '../exchange/exchange.ts'
import { headerValue } from '../exchange/headers.ts'
import { cacheName, cacheStatus, ttlS } from './cache-status.ts'
import { headersAt, type Leaving, type Source } from './guard.ts'
import type { Stored } from './stored.ts'

export interface Ready {
  readonly headers: readonly string[]
  /** Seconds of freshness left. */
  readonly ttlS: number
  /** With Cache-Status. */
  readonly shared: SharedHead
}

/** About a kilobyte each, which counts for no answer. */
const mostReady = 2_000

export class ReadyHeads {
  /** By head: an answer that is stored no more is not kept alive by it, body and all. */
  readonly #heads = new Map<Leaving, Ready>()
  /** The second they are of. Since the epoch. */
  #atS = 0

  at (stored: Stored, nowMs: number): Ready {
    const atS = Math.floor(nowMs / 1_000)
    if (atS !== this.#atS || this.#heads.size >= mostReady) {
      this.#heads.clear()
      this.#atS = atS
    }
    let ready = this.#heads.get(stored.leaving)
    if (ready === undefined) this.#heads.set(stored.leaving, ready = made(stored, nowMs))
    return ready
  }
}

function made (stored: Stored, nowMs: number): Ready {
  const leftS = ttlS(stored.terms.freshUntilMs, nowMs)
  const added = ['Cache-Status', cacheStatus(cacheName, { hit: true, ttlS: leftS })]
  return { headers: wholeHeaders(stored, nowMs, 'stored'), ttlS: leftS, shared: { added, uses: 0, text: undefined, length: '' } }
}

/** Headers of an answer whose body is here, whole. */
export function wholeHeaders ({ terms, leaving, guard, head, body }: Stored, nowMs: number, source: Source): string[] {
  const headers = headersAt(leaving, terms.bornAtMs, nowMs, guard, source)
  if (headerValue(head.headers, 'content-length') === undefined && head.status !== 204) headers.push('Content-Length', String(body.length))
  return headers
}
