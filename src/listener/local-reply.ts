// An answer made by the gateway itself: a GatewayError as the responseStatus that ServiceStack's clients parse, in the format asked for. Pure.
import { STATUS_CODES } from 'node:http'
import type { GatewayError } from '../exchange/errors.ts'
import type { RequestTarget } from '../routing/request-target.ts'

export type ReplyFormat = 'json' | 'xml' | 'jsv' | 'csv' | 'html'

export interface LocalReply {
  readonly status: number
  /** The error code: hosts put theirs there, and clients without a body read it. */
  readonly reason: string
  /** Flat list, Content-Length and Content-Type included. */
  readonly headers: string[]
  readonly body: Buffer
}

const contentTypes: Readonly<Record<ReplyFormat, string>> = {
  json: 'application/json; charset=utf-8', xml: 'application/xml', jsv: 'application/jsv', csv: 'text/csv', html: 'text/html; charset=utf-8'
}
const isFormat = (text: string): text is ReplyFormat => Object.hasOwn(contentTypes, text)

/** `?format=`, then the first segment or `.ext`, else JSON. `target` is undefined when it could not be read: then its text is looked at. */
export function replyFormat (target: RequestTarget | undefined, rawTarget: string): ReplyFormat {
  const queryAt = rawTarget.indexOf('?')
  if (queryAt !== -1) {
    const asked = /[?&]format=([a-z]+)(?:&|$)/i.exec(rawTarget.slice(queryAt))?.[1]?.toLowerCase()
    if (asked !== undefined && isFormat(asked)) return asked
  }
  if (target !== undefined && target.kind === 'message') return isFormat(target.format) ? target.format : 'json'
  const path = queryAt === -1 ? rawTarget : rawTarget.slice(0, queryAt)
  const first = /^\/+([a-z]+)\//i.exec(path)?.[1]?.toLowerCase()
  if (first !== undefined && isFormat(first)) return first
  const extension = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase()
  return extension !== undefined && isFormat(extension) ? extension : 'json'
}

/** `added`: what comes after the headers of the body, e.g. the correlation id. Flat list. */
export function renderLocalReply (error: GatewayError, format: ReplyFormat, added: readonly string[]): LocalReply {
  const { status, retryAfterS } = error.spec as { status: number, retryAfterS?: number }
  const body = Buffer.from(bodies[format](error.code, error.message, status))
  const headers = ['Content-Type', contentTypes[format], 'Content-Length', String(body.length), 'Cache-Control', 'no-store', ...added, ...error.headers]
  if (retryAfterS !== undefined && !error.headers.includes('Retry-After')) headers.push('Retry-After', String(retryAfterS))
  return { status, reason: error.code, headers, body }
}

/** The same as bytes, for sockets that no request object stands for. The connection ends with it. */
export function rawLocalReply ({ status, reason, headers, body }: LocalReply): Buffer {
  let head = `HTTP/1.1 ${status} ${reason}\r\n`
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]!}: ${headers[i + 1]!}\r\n`
  return Buffer.concat([Buffer.from(`${head}Date: ${new Date().toUTCString()}\r\nConnection: close\r\n\r\n`, 'latin1'), body])
}

// Shapes as the hosts write them (10.1.5 and 5.2.0 alike): camelCase with empty errors in JSON and JSV, DataContract in XML.
const bodies: Readonly<Record<ReplyFormat, (code: string, message: string, status: number) => string>> = {
  json: (code, message) => `{"responseStatus":{"errorCode":${JSON.stringify(code)},"message":${JSON.stringify(message)},"errors":[]}}`,
  xml: (code, message) => '<?xml version="1.0" encoding="utf-8"?><ErrorResponse xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://schemas.servicestack.net/types">' +
    `<ResponseStatus><ErrorCode>${escapeMarkup(code)}</ErrorCode><Message>${escapeMarkup(message)}</Message><StackTrace i:nil="true" /><Errors />` +
    '<Meta xmlns:d3p1="http://schemas.microsoft.com/2003/10/Serialization/Arrays" i:nil="true" /></ResponseStatus></ErrorResponse>',
  jsv: (code, message) => `{responseStatus:${statusAsJsv(code, message)}}`,
  csv: (code, message) => `ResponseStatus\r\n"${statusAsJsv(code, message).replaceAll('"', '""')}"\r\n`,
  html: (code, message, status) => `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${status} ${escapeMarkup(code)}</title></head>` +
    `<body><h1>${status} ${escapeMarkup(STATUS_CODES[status] ?? code)}</h1><p><b>${escapeMarkup(code)}</b>: ${escapeMarkup(message)}</p></body></html>\n`
}

const statusAsJsv = (code: string, message: string): string => `{errorCode:${jsvText(code)},message:${jsvText(message)},errors:[]}`

/** JSV quotes a text that holds one of its own signs, and doubles quotes within. */
const jsvText = (text: string): string => /[",{}[\]\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text

// XML 1.0 has no way at all to write most control characters and lone surrogates.
// eslint-disable-next-line no-control-regex
const unwritable = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g
const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' }

function escapeMarkup (text: string): string {
  return text.toWellFormed().replace(unwritable, '\ufffd').replace(/[&<>"']/g, sign => entities[sign]!)
}
