// How an exchange and a refusal look in the log: JSON made by hand, because this is paid once a request. Pure.

/** One try at one endpoint. */
export interface AttemptLine {
  readonly endpoint: string
  readonly outcome: string
  /** HTTP status, or the code of the error. */
  readonly result: string
  /** Of a time-out it is told which limit, its value and what was waited for: the exchange may have gone on to a good end. */
  readonly error?: { readonly detail?: Readonly<Record<string, unknown>> | undefined } | undefined
  /** It began before the attempt before it had ended. */
  readonly hedge?: boolean
  readonly durationMs: number
}

/** What is logged of one exchange. Header values, cookies, keys and the query are never among it. */
export interface ExchangeLine {
  /** Name of the upstream; '' when no route was found. */
  readonly service: string
  /** URL of the endpoint that answered last; undefined when none was tried. */
  readonly endpoint: string | undefined
  /** Name of the route; '' when no route was found. */
  readonly message: string
  readonly method: string
  /** The request target; a query is cut off here. */
  readonly path: string
  /** Sent to the client; 499 when it left first. */
  readonly status: number
  /** Code of the GatewayError, when the gateway answered itself or the client left. */
  readonly errorCode: string | undefined
  /** What the error, or the one that a degraded answer stands in for, says of itself: which limit, its value, the occupancy. Only strings, numbers and booleans are written. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined
  /** The part of a split it belonged to. */
  readonly part?: string | undefined
  /** What the cache did: hit, stale, collapsed, miss, pass, or copy (an outage copy); undefined where it was not asked. */
  readonly cache?: string | undefined
  /** What a degraded or stale answer stands in for: the code of an error, or the service's own status. */
  readonly degradedBy?: string | undefined
  readonly durationMs: number
  /** Body bytes sent to the client. */
  readonly bytes: number
  readonly traceId: string
  readonly correlationId: string
  readonly clientAddress: string
  readonly attempts: readonly AttemptLine[]
  /** One more attempt was due, and the retry budget had none left. */
  readonly retryRefused?: boolean
  /** The fault that was injected into its last attempt with one. */
  readonly fault?: string | undefined
}

/** A refusal, for the security stream. docs/SECURITY-LOG.md describes it: fields are only ever added. */
export interface SecurityLine {
  /** The error code. */
  readonly event: string
  readonly clientAddress: string
  readonly method: string
  /** The request target; a query is cut off here. */
  readonly path: string
  readonly status: number
  readonly correlationId: string
  readonly traceId: string
  /** What was found and which rule refused it. Only strings, numbers and booleans are written. */
  readonly detail: Readonly<Record<string, unknown>> | undefined
}

export type Severity = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
/** pino's numbers. */
export const levels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const satisfies Record<Severity, number>

/** A bug of ours is an error; what the client sees as the site's fault is a warning; everything else is everyday life. */
export function severityOf (status: number, errorCode: string | undefined): Severity {
  if (errorCode === 'InternalError') return 'error'
  return status >= 500 ? 'warn' : 'info'
}

const maxTextChars = 256
const maxPathChars = 512
const maxDetails = 12
const maxAttempts = 8
const maxQuotedNames = 4_096

// What JSON must escape, and everything beyond ASCII, which JSON.stringify then decides about (lone surrogates).
const needsEscape = /[^\x20\x21\x23-\x5b\x5d-\x7e]/

function quote (text: string, maxChars = maxTextChars): string {
  const bounded = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text
  return needsEscape.test(bounded) ? JSON.stringify(bounded) : `"${bounded}"`
}

const quotedNames = new Map<string, string>()

/** Of names that come again and again, which are not looked at each time: −0.4 µs of the line's 1.4 (measured). */
function quoteName (name: string): string {
  const known = quotedNames.get(name)
  if (known !== undefined) return known
  const quoted = quote(name)
  if (name.length > maxTextChars) return quoted
  if (quotedNames.size === maxQuotedNames) quotedNames.clear()
  quotedNames.set(name, quoted)
  return quoted
}

function pathOf (target: string): string {
  const query = target.indexOf('?')
  return quote(query === -1 ? target : target.slice(0, query), maxPathChars)
}

/** Milliseconds with one decimal: a double's own shortest form takes longer to print than the rest of the line. */
function decimal (ms: number): string {
  const tenths = Math.round(ms * 10)
  return `${Math.trunc(tenths / 10)}.${tenths % 10}`
}

/** `head` is everything up to the line's own fields: `{"level":30,"severity":"info","time":"…","gateway":"…"`. */
export function exchangeLine (head: string, line: ExchangeLine): string {
  let text = `${head},"service":${quoteName(line.service)}`
  if (line.endpoint !== undefined) text += `,"endpoint":${quoteName(line.endpoint)}`
  text += `,"message":${quoteName(line.message)},"method":${quoteName(line.method)},"path":${pathOf(line.path)},"status":${line.status}`
  if (line.errorCode !== undefined) text += `,"error":${quote(line.errorCode)}`
  if (line.errorCode !== undefined || line.degradedBy !== undefined) text += detailText(line.detail)
  if (line.part !== undefined) text += `,"part":${quote(line.part)}`
  if (line.cache !== undefined) text += `,"cache":${quoteName(line.cache)}`
  if (line.degradedBy !== undefined) text += `,"degradedBy":${quote(line.degradedBy)}`
  const traceId = quote(line.traceId)
  const correlationId = line.correlationId === line.traceId ? traceId : quote(line.correlationId)
  text += `,"ms":${decimal(line.durationMs)},"bytes":${line.bytes},"traceId":${traceId},"correlationId":${correlationId},"client":${quote(line.clientAddress)}`
  text += ',"attempts":['
  const count = Math.min(line.attempts.length, maxAttempts)
  for (let i = 0; i < count; i++) {
    const attempt = line.attempts[i]!
    text += `${i === 0 ? '' : ','}{"endpoint":${quoteName(attempt.endpoint)},"outcome":${quoteName(attempt.outcome)},"result":${quoteName(attempt.result)},"ms":${decimal(attempt.durationMs)}${attempt.hedge === true ? ',"hedge":true' : ''}${limitText(attempt.error?.detail)}}`
  }
  return `${text}]${line.retryRefused === true ? ',"retryRefused":true' : ''}${line.fault === undefined ? '' : `,"fault":${quote(line.fault)}`},"msg":"exchange"}\n`
}

function limitText (detail: Readonly<Record<string, unknown>> | undefined): string {
  const { limit, value, waitedFor } = detail ?? {}
  if (typeof limit !== 'string' || typeof value !== 'number' || typeof waitedFor !== 'string') return ''
  return `,"limit":${quote(limit)},"value":${value},"waitedFor":${quote(waitedFor)}`
}

/** As exchangeLine, for the security stream. */
export function securityLine (head: string, line: SecurityLine): string {
  let text = `${head},"stream":"security","event":${quote(line.event)},"client":${quote(line.clientAddress)},"method":${quote(line.method)},"path":${pathOf(line.path)}`
  text += `,"status":${line.status},"correlationId":${quote(line.correlationId)},"traceId":${quote(line.traceId)}`
  return `${text}${detailText(line.detail)},"msg":"refused"}\n`
}

function detailText (detail: Readonly<Record<string, unknown>> | undefined): string {
  if (detail === undefined) return ''
  const details = Object.entries(detail).slice(0, maxDetails).filter(([, value]) => isPlain(value))
  if (details.length === 0) return ''
  return `,"detail":{${details.map(([name, value]) => `${quote(name)}:${typeof value === 'string' ? quote(value) : String(value)}`).join(',')}}`
}

const isPlain = (value: unknown): boolean =>
  typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
