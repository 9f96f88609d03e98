// What the listener needs of the gateway. Types only.
import type { GatewayError } from '../exchange/errors.ts'
import type { RequestTarget } from '../routing/request-target.ts'
import type { Matched } from '../routing/table.ts'
import type { Log } from '../telemetry/log.ts'

export interface GatewayCore {
  /** @throws GatewayError MessageNotFound, RoutesNotReady, MethodNotAllowed */
  match (target: RequestTarget, method: string): Matched
  /** The endpoint of any upstream that serves this host (with its port) and path: its URL. Of several the one with the longest base path. */
  readonly endpointAt: (host: string, path: string) => string | undefined
  /** A request was answered, or given up, before its route's filters saw it. */
  refused (error: GatewayError, request: { readonly method: string, readonly target: string, readonly clientAddress: string, readonly correlationId: string, readonly traceId: string }): void
  readonly log: Log
}
