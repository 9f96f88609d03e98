// Correlation and trace ids, from a pool of random bytes: one call into crypto for hundreds of requests.
import { randomFillSync } from 'node:crypto'

const poolBytes = 8_192
const traceIdBytes = 16
const spanIdBytes = 8

/**
 * Ids nobody can guess, as hex. A correlation id made here is the trace id itself: one search finds a request in the logs of services that
 * know x-mac-requestId and in those that know traceparent, and only one id has to be made.
 */
export class IdSource {
  readonly #pool = Buffer.allocUnsafe(poolBytes)
  #at = poolBytes

  /** 32 hex digits. */
  traceId (): string { return this.#hex(traceIdBytes) }
  /** 16 hex digits. */
  spanId (): string { return this.#hex(spanIdBytes) }

  #hex (bytes: number): string {
    if (this.#at + bytes > poolBytes) {
      randomFillSync(this.#pool)
      this.#at = 0
    }
    this.#at += bytes
    return this.#pool.toString('hex', this.#at - bytes, this.#at)
  }
}

const traceparent = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/

/** W3C Trace Context level 1, version 00; undefined when it is malformed, and then the trace starts anew (section 3.2.2.3 there). */
export function parseTraceparent (value: string): { readonly traceId: string, readonly flags: string } | undefined {
  const match = traceparent.exec(value)
  return match === null ? undefined : { traceId: match[1]!, flags: match[2]! }
}

/** A trusted proxy's correlation id is any short visible text. */
export const isCorrelationId = (value: string): boolean => /^[\x21-\x7e]{1,128}$/.test(value)
