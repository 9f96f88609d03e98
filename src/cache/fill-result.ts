// How a fill ends, and what that is for each of those who wait. Types only.
import type { GatewayError } from '../exchange/errors.ts'
import type { Exchange, UpstreamResponse } from '../exchange/exchange.ts'
import type { ResponseBody } from '../exchange/response-body.ts'
import type { NotStored } from './entry.ts'
import type { Fill } from './fill.ts'
import type { Draft, Stored } from './stored.ts'

/** Why an answer is not kept, beside what its head says. */
export type NotKept = NotStored | 'too-large' | 'no-room'

/** `status`: what the origin said. */
export type FillAnswer =
  /** The answer, whole. `kept`: it is in the store. */
  | { readonly kind: 'whole', readonly draft: Stored, readonly status: number, readonly kept: boolean }
  /** The answer as it arrives. `kept`: it will be stored, if it fits and comes whole. */
  | { readonly kind: 'arriving', readonly draft: Draft, readonly status: number, readonly kept: boolean, readonly read: () => ResponseBody }
  /** Not to be stored. `plain`: it was asked for too plainly, and is nobody's. */
  | { readonly kind: 'not-stored', readonly response: UpstreamResponse, readonly plain: boolean }
  /** The second level had it: it is in the store. */
  | { readonly kind: 'found' }
  | { readonly kind: 'failed', readonly error: GatewayError }

/** On whose behalf a fill asks. */
export interface FillOwner {
  readonly isAwaited: boolean
  /** Whether this client waits for it. */
  awaits (client: Exchange): boolean
  /** A breaker counts the call as too slow, although it goes on. */
  overdue (fill: Fill): void
  /** Its answer is here, or there will be none. Once. */
  settle (fill: Fill, answer: FillAnswer): void
  /** Nobody can read along any more. */
  over (fill: Fill): void
}

/** What somebody who waited is told. */
export type FillResult =
  | FillAnswer & { readonly kind: 'whole' | 'found' | 'failed' }
  | Omit<FillAnswer & { readonly kind: 'arriving' }, 'read'> & { readonly body: ResponseBody }
  /** Not to be stored: whose request it was gets it as it came. */
  | { readonly kind: 'own', readonly response: UpstreamResponse }
  /** Not to be stored: go on by yourself. */
  | { readonly kind: 'alone', readonly status: number }
  /** It answers another variant: look again. */
  | { readonly kind: 'again' }
  /** It takes too long, and breakers let nobody else through: waiting would be waiting behind a call that may not succeed. */
  | { readonly kind: 'refused' }
