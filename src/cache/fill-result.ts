// How a fill ends, for those who wait for it. Types only.
import type { GatewayError } from '../exchange/errors.ts'
import type { UpstreamResponse } from '../exchange/exchange.ts'
import type { ResponseBody } from '../exchange/response-body.ts'
import type { NotStored } from './entry.ts'
import type { Draft, Stored } from './stored.ts'

/** Why an answer is not kept, beside what its head says. */
export type NotKept = NotStored | 'too-large' | 'no-room'

/** What somebody who waited is told. `status`: what the origin said. */
export type FillResult =
  /** The answer, whole. `kept`: it is in the store. */
  | { readonly kind: 'whole', readonly draft: Stored, readonly status: number, readonly kept: boolean }
  /** The answer as it arrives. `kept`: it will be stored. */
  | { readonly kind: 'arriving', readonly draft: Draft, readonly status: number, readonly kept: boolean, readonly body: ResponseBody }
  /** Not to be stored: whose request it was gets it as it came. */
  | { readonly kind: 'own', readonly response: UpstreamResponse }
  /** Not to be stored: go on by yourself. */
  | { readonly kind: 'alone', readonly status: number }
  /** The second level had it: it is in the store. */
  | { readonly kind: 'found' }
  /** It answers another variant, or took too long: look again. */
  | { readonly kind: 'again' }
  | { readonly kind: 'failed', readonly error: GatewayError }
