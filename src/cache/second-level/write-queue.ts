// What is to be written to the second level: bounded in number and bytes, a few at a time, dropped rather than waited for.
import { usableUntil } from '../policy.ts'
import type { Stored } from '../stored.ts'
import { digestOf, encodeFrame, encodePointer } from './frame.ts'
import { within, type Link } from './link.ts'

export interface WriteEvents {
  failed (error: Error): void
  succeeded (): void
}

interface Write {
  readonly key: string
  /** Of the variant, where the answer varies: then `key` only says by what. */
  readonly variantKey: string | undefined
  readonly stored: Stored
  readonly mark: string
}

const mostWaiting = 1_000
const mostWaitingBytes = 33_554_432
const atOneTime = 16
/** What is over sooner is not worth the way. */
const leastUsefulMs = 1_000
const failsAfterMs = 1_000

export class WriteQueue {
  readonly counts = { written: 0, dropped: 0, failed: 0 }
  bytesWritten = 0
  readonly #link: Link
  readonly #events: WriteEvents
  readonly #waiting = new Map<string, Write>()
  #waitingBytes = 0
  #running = 0

  constructor (link: Link, events: WriteEvents) {
    this.#link = link
    this.#events = events
  }

  get waiting (): number { return this.#waiting.size }

  /** `up`: whether the server is asked at all now; else it is dropped, as it is when too many wait. */
  offer (key: string, variantKey: string | undefined, stored: Stored, mark: string, up: boolean): void {
    const id = variantKey ?? key
    this.#forget(id)
    if (!up || this.#waiting.size >= mostWaiting || this.#waitingBytes + stored.bytes > mostWaitingBytes) {
      this.counts.dropped++
      return
    }
    this.#waiting.set(id, { key, variantKey, stored, mark })
    this.#waitingBytes += stored.bytes
    this.#advance()
  }

  /** What was written to it before, or is being written, is gone then: commands are carried out in their order. */
  remove (key: string): void {
    this.#forget(key)
    if (this.#link.up) within(failsAfterMs, this.#link.command('DEL', key)).catch((error: unknown) => { this.#events.failed(error as Error) })
  }

  close (): void {
    this.#waiting.clear()
    this.#waitingBytes = 0
  }

  #forget (id: string): void {
    const write = this.#waiting.get(id)
    if (write === undefined) return
    this.#waiting.delete(id)
    this.#waitingBytes -= write.stored.bytes
  }

  #advance (): void {
    for (const [id, write] of this.#waiting) {
      if (this.#running >= atOneTime) return
      this.#forget(id)
      this.#running++
      void this.#write(write).finally(() => {
        this.#running--
        this.#advance()
      })
    }
  }

  async #write ({ key, variantKey, stored, mark }: Write): Promise<void> {
    const { place, variant, terms, head, endpointUrl, body } = stored
    const nowMs = Date.now()
    const usefulMs = Math.ceil(usableUntil(terms) - nowMs)
    if (usefulMs < leastUsefulMs) return
    const value = encodeFrame({
      key: digestOf(place.key),
      variant: digestOf(variant),
      vary: terms.vary,
      status: head.status,
      reason: head.reason,
      headers: head.headers,
      requestAtMs: head.requestAtMs,
      responseAtMs: head.responseAtMs,
      endpointUrl,
      mark,
      writtenAtMs: nowMs,
      usefulMs,
      body: typeof body === 'string' ? Buffer.from(body, 'latin1') : body
    })
    const asked = [this.#link.command('SET', variantKey ?? key, value, 'PX', String(usefulMs))]
    if (variantKey !== undefined) asked.push(this.#link.command('SET', key, encodePointer({ vary: terms.vary }), 'PX', String(usefulMs)))
    try {
      await within(failsAfterMs, Promise.all(asked))
      this.counts.written++
      this.bytesWritten += value.length
      this.#events.succeeded()
    } catch (error) {
      this.counts.failed++
      this.#events.failed(error as Error)
    }
  }
}
