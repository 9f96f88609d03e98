// The gateway's log: JSON lines in pino's format, written asynchronously; one line an exchange, refusals marked as their own stream.
import { hostname } from 'node:os'
import { pino } from 'pino'
import type { Config } from '../config/schema.ts'
import { exchangeLine, levels, securityLine, severityOf, type ExchangeLine, type SecurityLine, type Severity } from './exchange-line.ts'
import { createLogSink, type LogSink } from './log-sink.ts'

export type { AttemptLine, ExchangeLine, SecurityLine } from './exchange-line.ts'

/** Data belongs in `fields`, the message stays the same every time. An error goes under `err`. */
export interface Log {
  debug (fields: object, message: string): void
  info (fields: object, message: string): void
  warn (fields: object, message: string): void
  error (fields: object, message: string): void
  fatal (fields: object, message: string): void
  exchange (line: ExchangeLine): void
  security (line: SecurityLine): void
  /** Lines lost because the destination was full, slow or closed. */
  readonly dropped: number
  flush (): Promise<void>
  /** Writes what is buffered and lets the destination go; later lines are dropped. */
  close (): Promise<void>
}

export interface LogOptions {
  /** Name of this gateway in every line. Default: the host's name. */
  gateway?: string
}

/** What nobody may read in a log, wherever a caller puts it. */
const secretNames = new Set(['authorization', 'cookie', 'set-cookie', 'token', 'password', 'apiKey', 'x-api-key', 'x-consul-token', 'proxy-authorization'])
/** Levels of fields that are looked through and written: pino keeps to it only where JSON cannot be made. */
const depthLimit = 5

/**
 * Throws when a destination that is a file cannot be opened. Afterwards nothing here throws or waits: lines beyond 4 MB of backlog are
 * dropped, counted, and reported in the log itself once it works again.
 */
export function createLog (config: Config['log'], options: LogOptions = {}): Log {
  const gateway = options.gateway ?? hostname()
  const threshold = levels[config.level]
  const timestamp = createTimestamp()

  const onRecovered = (lost: number) => { logger.warn({ lost }, 'log lines were dropped') }
  const sink = createLogSink(config.destination, onRecovered)
  const securitySink = config.securityDestination === undefined ? sink : createLogSink(config.securityDestination, onRecovered)
  const sinks = new Set<LogSink>([sink, securitySink])

  const logger = pino({
    level: config.level,
    base: { gateway },
    timestamp,
    // Not pino's own redaction: its wildcards cost 50 microseconds and 5 KB of garbage a line on the thread that answers requests.
    formatters: { level: (severity, level) => ({ level, severity }), log: fields => withoutSecrets(fields) as Record<string, unknown> },
    serializers: { err: describeError },
    depthLimit,
    edgeLimit: 50
  }, { write: (line: string) => { sink.write(line, urgent.test(line.slice(0, 11))) } })

  const heads = Object.fromEntries(Object.entries(levels).map(([severity, level]) => [severity, `{"level":${level},"severity":"${severity}"`])) as Record<Severity, string>
  const base = `,"gateway":${JSON.stringify(gateway)}`

  return {
    debug (fields, message) { logger.debug(fields, message) },
    info (fields, message) { logger.info(fields, message) },
    warn (fields, message) { logger.warn(fields, message) },
    error (fields, message) { logger.error(fields, message) },
    fatal (fields, message) { logger.fatal(fields, message) },
    exchange (line) {
      if (!config.exchanges) return
      const severity = severityOf(line.status, line.errorCode)
      if (levels[severity] < threshold) return
      sink.write(exchangeLine(heads[severity] + timestamp() + base, line), false)
    },
    // Whatever the level: a security stream with holes is worth little.
    security (line) {
      securitySink.write(securityLine(heads.warn + timestamp() + base, line), false)
    },
    get dropped () { return [...sinks].reduce((sum, one) => sum + one.dropped, 0) },
    async flush () { await Promise.all([...sinks].map(one => one.flush())) },
    async close () { await Promise.all([...sinks].map(one => one.close())) }
  }
}

/** The same value where it holds none and is not too deep, else a copy. Errors are left to their serializer. */
function withoutSecrets (value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Error) return value
  if (depth === depthLimit) return '[too deep]'
  let copy: Record<string, unknown> | undefined
  for (const [name, field] of Object.entries(value)) {
    const clean = secretNames.has(name) ? '[redacted]' : withoutSecrets(field, depth + 1)
    if (clean !== field) (copy ??= Object.assign(Array.isArray(value) ? [] : {}, value) as Record<string, unknown>)[name] = clean
  }
  return copy ?? value
}

/** error and fatal: whatever happens next, they should be on disk. */
const urgent = /^\{"level":[56]/

/** `,"time":"2026-01-02T03:04:05.678Z"`, made once a millisecond. */
function createTimestamp (): () => string {
  let lastMs = 0
  let text = ''
  return () => {
    const now = Date.now()
    if (now !== lastMs) {
      lastMs = now
      text = `,"time":"${new Date(now).toISOString()}"`
    }
    return text
  }
}

/**
 * An error without its own properties: clients of registries and services hang requests with their headers, tokens included, on them.
 */
function describeError (error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return String(error).slice(0, 1_000)
  const code: unknown = 'code' in error ? error.code : undefined
  return {
    type: error.name,
    message: error.message.slice(0, 1_000),
    ...(typeof code === 'string' ? { code } : {}),
    stack: error.stack?.slice(0, 4_000),
    ...(error.cause === undefined || depth >= 3 ? {} : { cause: describeError(error.cause, depth + 1) })
  }
}
