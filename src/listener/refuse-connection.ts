// What never becomes a request: parser errors, timeouts of the head, CONNECT. Answered as a responseStatus, then the connection is closed.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { GatewayError } from '../exchange/errors.ts'
import { plainAddress } from './client-address.ts'
import { isHttp2, methodNotAllowed, type AnyRequest } from './admission.ts'
import { rawLocalReply } from './local-reply.ts'
import { localReply, type ListenerState } from './open-exchange.ts'
import { Http2Reply } from './send-response-http2.ts'

interface ParserError extends Error {
  readonly code?: string
  readonly rawPacket?: Buffer
}

/** The response that Node is writing on a connection, if any; its own handling of these errors asks the same. */
type Busy = Socket & { readonly _httpMessage?: { readonly headersSent: boolean, readonly req?: IncomingMessage } | null }

export function refuseBrokenRequest (state: ListenerState, error: ParserError, socket: Busy): void {
  // Not everything that Node hands over here is a socket of HTTP/1.1.
  if (typeof socket.write !== 'function' || error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent === true) {
    socket.destroy(error)
    return
  }
  const { admission, gateway } = state
  const { method = '-', target = '-' } = requestLine(socket, error)
  const identity = admission.anonymous(method, target, plainAddress(socket.remoteAddress))
  const refusal = translate(error, socket, admission.limits)
  gateway.refused(refusal, identity)
  socket.end(rawLocalReply(localReply(refusal, undefined, identity, admission)), () => socket.destroy())
}

/** @see https://datatracker.ietf.org/doc/html/rfc9110#section-9.3.6: only a proxy of the client's choice would tunnel. */
export function refuseConnect (state: ListenerState, req: AnyRequest, stream: Duplex | Http2ServerResponse): void {
  const target = 'authority' in req ? req.authority : req.url!
  const identity = state.admission.anonymous('CONNECT', target, plainAddress(req.socket.remoteAddress))
  const error = methodNotAllowed()
  state.gateway.refused(error, identity)
  const reply = localReply(error, undefined, identity, state.admission)
  if (isHttp2(req)) {
    new Http2Reply(req, stream as Http2ServerResponse, state).sendLocal(reply)
    return
  }
  const socket = stream as Duplex
  socket.on('error', () => socket.destroy())
  socket.end(rawLocalReply(reply), () => socket.destroy())
}

function translate (error: ParserError, socket: Busy, { requestTargetBytes, headersTimeoutMs }: ListenerState['admission']['limits']): GatewayError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW': return new GatewayError(overlongTarget(error.rawPacket, requestTargetBytes) ? 'RequestTargetTooLong' : 'HeadersTooLarge', { detail: { code: error.code } })
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW': return new GatewayError('BodyTooLarge', { detail: { code: error.code } })
    case 'ERR_HTTP_REQUEST_TIMEOUT': return new GatewayError('RequestTimeout', { detail: { limit: 'headersTimeoutMs', value: headersTimeoutMs, waitedFor: 'request head' } })
    // With an exchange under way it is its body that broke.
    default: return new GatewayError(socket._httpMessage == null ? 'BadRequest' : 'BodyIncomplete', { detail: { code: error.code ?? error.name } })
  }
}

function overlongTarget (packet: Buffer | undefined, requestTargetBytes: number): boolean {
  if (packet === undefined || !/^[A-Z-]+ /.test(packet.toString('latin1', 0, 16))) return false
  const lineEnd = packet.indexOf('\r\n')
  return lineEnd === -1 || lineEnd > requestTargetBytes
}

function requestLine (socket: Busy, error: ParserError): { method?: string, target?: string } {
  const req = socket._httpMessage?.req as (IncomingMessage & { originalUrl?: string }) | undefined
  if (req !== undefined) return { method: req.method!, target: req.originalUrl ?? req.url! }
  const line = /^([A-Z-]{1,20}) ([^\s]{1,512})/.exec(error.rawPacket?.toString('latin1', 0, 600) ?? '')
  return line === null ? {} : { method: line[1]!, target: line[2]! }
}
