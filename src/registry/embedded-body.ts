// What a service sends to register itself or a check -> a definition, or Consul's own words of refusal. Pure.
import { isIP } from 'node:net'
import { parseGoDuration } from './go-duration.ts'

/** An answer other than 200. The text is Consul's own where it has one: clients and operators look for it. */
export class Refusal extends Error {
  override name = 'Refusal'
  readonly status: number
  constructor (status: number, message: string) {
    super(message)
    this.status = status
  }
}

export type Status = 'passing' | 'warning' | 'critical'

export interface ServiceDefinition {
  readonly id: string
  readonly name: string
  readonly tags: readonly string[]
  readonly address: string
  readonly port: number
  readonly meta: Readonly<Record<string, string>>
  readonly weights: { readonly Passing: number, readonly Warning: number }
  readonly enableTagOverride: boolean
}

export interface CheckDefinition {
  readonly id: string
  readonly name: string
  readonly serviceId: string
  readonly notes: string
  readonly status: Status
  readonly type: 'http' | 'tcp' | 'ttl' | 'maintenance'
  /** URL of an http check, host:port of a tcp check, '' for others. */
  readonly target: string
  readonly method: string
  readonly header: ReadonlyArray<readonly [string, string]>
  readonly body: string
  readonly tlsSkipVerify: boolean
  /** Milliseconds. For ttl: how long a status holds. */
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Milliseconds; 0: never. */
  readonly deregisterAfterMs: number
}

/** Consul's own limits: no check runs more often, nobody is deregistered sooner, a check waits this long by default. Milliseconds. */
const shortestIntervalMs = 1_000
const soonestDeregisterMs = 60_000
const defaultTimeoutMs = 10_000
const longestText = 4_096
const mostTags = 4_096
const mostChecks = 64

/** Keys are taken in any letter case and with or without underscores, as Consul takes them. */
type Fields = ReadonlyMap<string, unknown>

/** Throws Refusal. */
export function parseJson (body: string): unknown {
  if (body.trim() === '') throw new Refusal(400, 'Request decode failed: EOF')
  try {
    return JSON.parse(body)
  } catch (error) {
    throw new Refusal(400, `Request decode failed: ${(error as Error).message}`)
  }
}

/** A service and the checks that come with it. Throws Refusal. */
export function readService (body: unknown): { service: ServiceDefinition, checks: CheckDefinition[] } {
  const fields = fieldsOf(body)
  const name = textOf(fields, 'name')
  if (name === '') throw new Refusal(400, 'Missing service name')
  const id = textOf(fields, 'id') || name
  const address = textOf(fields, 'address')
  if (['0.0.0.0', '::', '[::]'].includes(address)) throw new Refusal(400, 'Invalid service address')
  const port = fields.get('port') ?? 0
  if (!Number.isInteger(port) || (port as number) < 0 || (port as number) > 65_535) throw new Refusal(400, 'Request decode failed: Port is not a port number')
  const weights = fields.get('weights') === undefined ? new Map<string, unknown>() : fieldsOf(fields.get('weights'))
  const service: ServiceDefinition = {
    id,
    name,
    tags: stringsOf(fields, 'tags'),
    address,
    port: port as number,
    meta: metaOf(fields),
    weights: { Passing: weightOf(weights, 'passing'), Warning: weightOf(weights, 'warning') },
    enableTagOverride: fields.get('enabletagoverride') === true
  }
  const listed = fields.get('checks') ?? []
  if (!Array.isArray(listed)) throw new Refusal(400, 'Request decode failed: Checks is no list')
  const written: unknown[] = [...(fields.get('check') === undefined || fields.get('check') === null ? [] : [fields.get('check')]), ...(listed as unknown[])]
  if (written.length > mostChecks) throw new Refusal(400, `Invalid check: more than ${mostChecks} checks of one service`)
  const checks = written.map((check, position) => {
    const own = fieldsOf(check)
    const byDefault = written.length === 1 ? `service:${id}` : `service:${id}:${position + 1}`
    return readCheckFields(own, {
      id: textOf(own, 'checkid') || textOf(own, 'id') || byDefault,
      name: textOf(own, 'name') || `Service '${name}' check`,
      serviceId: id
    })
  })
  return { service, checks }
}

/** A check of its own. Throws Refusal. */
export function readCheck (body: unknown): CheckDefinition {
  const fields = fieldsOf(body)
  const name = textOf(fields, 'name')
  if (name === '') throw new Refusal(400, 'Missing check name')
  return readCheckFields(fields, { id: textOf(fields, 'id') || textOf(fields, 'checkid') || name, name, serviceId: textOf(fields, 'serviceid') })
}

/** The status of a TTL check's update. Throws Refusal. */
export function readUpdate (body: unknown): { status: Status, output: string } {
  const fields = fieldsOf(body)
  const status = textOf(fields, 'status')
  if (!isStatus(status)) throw new Refusal(400, `Invalid check status: '${status}'`)
  return { status, output: String(fields.get('output') ?? '').slice(0, longestText) }
}

function readCheckFields (fields: Fields, identity: Pick<CheckDefinition, 'id' | 'name' | 'serviceId'>): CheckDefinition {
  const status = textOf(fields, 'status') || 'critical'
  if (!isStatus(status)) throw new Refusal(400, 'Bad check status')
  for (const kind of ['grpc', 'args', 'script', 'dockercontainerid', 'aliasnode', 'aliasservice', 'udp', 'h2ping']) {
    if (fields.get(kind) !== undefined && fields.get(kind) !== null && fields.get(kind) !== '') {
      throw new Refusal(400, `Invalid check: ${kind} checks are not run by the embedded registry (HTTP, TCP and TTL are)`)
    }
  }
  const http = textOf(fields, 'http')
  const tcp = textOf(fields, 'tcp')
  const ttlMs = durationOf(fields, 'ttl')
  const intervalMs = durationOf(fields, 'interval')
  const deregisterMs = durationOf(fields, 'deregistercriticalserviceafter')
  const common = {
    ...identity,
    notes: textOf(fields, 'notes'),
    status,
    method: (textOf(fields, 'method') || 'GET').toUpperCase(),
    header: headerOf(fields),
    body: textOf(fields, 'body'),
    tlsSkipVerify: fields.get('tlsskipverify') === true,
    timeoutMs: durationOf(fields, 'timeout') || defaultTimeoutMs,
    deregisterAfterMs: deregisterMs === 0 ? 0 : Math.max(soonestDeregisterMs, deregisterMs)
  }
  if (http === '' && tcp === '') {
    if (intervalMs > 0) throw new Refusal(400, 'Invalid check: Interval must be set with HTTP or TCP')
    if (ttlMs <= 0) throw new Refusal(400, 'Invalid check: TTL must be > 0 for TTL checks')
    return { ...common, type: 'ttl', target: '', intervalMs: ttlMs }
  }
  if (intervalMs <= 0) throw new Refusal(400, 'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks')
  const bounded = Math.min(86_400_000, Math.max(shortestIntervalMs, intervalMs))
  if (http !== '') {
    if (!/^https?:\/\//i.test(http) || !URL.canParse(http)) throw new Refusal(400, `Invalid check: not an http URL: ${http.slice(0, 200)}`)
    return { ...common, type: 'http', target: http, intervalMs: bounded }
  }
  if (hostAndPort(tcp) === undefined) throw new Refusal(400, `Invalid check: not host:port: ${tcp.slice(0, 200)}`)
  return { ...common, type: 'tcp', target: tcp, intervalMs: bounded }
}

/** host:port or [IPv6]:port. */
export function hostAndPort (target: string): { host: string, port: number } | undefined {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(target)
  if (found === null || Number(found[3]) > 65_535 || (found[1] !== undefined && isIP(found[1]) !== 6)) return undefined
  return { host: (found[1] ?? found[2])!, port: Number(found[3]) }
}

function fieldsOf (value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refusal(400, 'Request decode failed: not an object')
  return new Map(Object.entries(value).map(([key, item]) => [key.replaceAll('_', '').toLowerCase(), item]))
}

function textOf (fields: Fields, key: string): string {
  const value = fields.get(key)
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string' || value.length > longestText) throw new Refusal(400, `Request decode failed: ${key} is no text, or too long`)
  return value
}

function stringsOf (fields: Fields, key: string): string[] {
  const value = fields.get(key) ?? []
  if (!Array.isArray(value) || value.length > mostTags || !value.every((item) => typeof item === 'string' && item.length <= longestText)) {
    throw new Refusal(400, `Request decode failed: ${key} is no list of texts, or too long`)
  }
  return value as string[]
}

function metaOf (fields: Fields): Record<string, string> {
  const value = fields.get('meta') ?? {}
  if (typeof value !== 'object' || Array.isArray(value)) throw new Refusal(400, 'Request decode failed: Meta is no object')
  const entries = Object.entries(value as object)
  // Consul's own limits.
  if (entries.length > 64 || !entries.every(([key, item]) => key.length <= 128 && typeof item === 'string' && item.length <= 512)) {
    throw new Refusal(400, 'Invalid Service Meta: at most 64 keys of 128 characters with texts of 512 characters')
  }
  return Object.fromEntries(entries)
}

function headerOf (fields: Fields): Array<[string, string]> {
  const value = fields.get('header') ?? {}
  if (typeof value !== 'object' || value === null) throw new Refusal(400, 'Request decode failed: Header is no object')
  return Object.entries(value).slice(0, 64).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).slice(0, 16).map((item): [string, string] => [name, String(item)]))
}

function weightOf (weights: Fields, key: string): number {
  const value = weights.get(key) ?? 1
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 65_535) throw new Refusal(400, 'Invalid Weights: from 0 to 65535')
  return value as number
}

function durationOf (fields: Fields, key: string): number {
  const ms = parseGoDuration(fields.get(key))
  if (ms === undefined) throw new Refusal(400, `Request decode failed: time: invalid duration ${JSON.stringify(fields.get(key))}`)
  return Math.max(0, ms)
}

function isStatus (status: string): status is Status {
  return status === 'passing' || status === 'warning' || status === 'critical'
}
