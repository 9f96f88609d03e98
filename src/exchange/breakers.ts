// The breakers in front of an upstream's queue, as the request path sees them. Types only.
import type { GatewayError } from './errors.ts'
import type { Exchange } from './exchange.ts'

/** A call that the breakers in front of the queue let in; to be told once what became of it; whatever comes after that is not heard. */
export interface AdmittedCall {
  answered (status: number): void
  failed (error: GatewayError): void
  /** It goes on at another upstream: what becomes of it there is nobody's word about this one. */
  left (): void
}

/** The breakers of an upstream and of its messages, in front of its queue. `upstream/upstream-breakers.ts` satisfies it. */
export interface BreakersHandle {
  /** @throws GatewayError BreakerOpen */
  enter (exchange: Exchange): AdmittedCall
  /** How much of its calls they let in now, 0 to 1: below 1 while they recover. With 0 `enter` would refuse it, and nobody should wait for another's call. */
  share (exchange: Exchange): number
  /** Whether `enter` would refuse it now, and while they recover also whether it is not among the calls that are due: for one that can go elsewhere. One that is not deferred is let in, if it comes at once. */
  defers (exchange: Exchange): boolean
}
