// Registers a host in a Consul agent exactly as ServiceStack.Discovery.Consul 5.1.0 does, and tries to deregister as it does.
import { request, targetOf, type RawResponse } from './http-client.ts'

/** What the plugin knows of its AppHost. `ServiceStackHost` of these tests has it. */
export interface PluginHost {
  /** `ss-{ServiceName}-{guid}` of the running process. */
  readonly id: string
  /** Base URL as configured, trailing slash included. */
  readonly address: string
  readonly tags: readonly string[]
}

export interface PluginOptions {
  /** Seconds between heartbeats. The plugin's own: 30. */
  readonly heartbeatIntervalS?: number
  /** The custom check, where AddServiceCheck was used: its interval in seconds. */
  readonly healthCheckIntervalS?: number
  /** IncludeDefaultServiceHealth: false = no heartbeat check, so Consul counts the service as passing. */
  readonly heartbeat?: boolean
  /** Only the service, as it is for some milliseconds before its checks are there. */
  readonly withoutChecks?: boolean
}

const put = async (agent: string, path: string, body: unknown): Promise<RawResponse> => {
  const response = await request(targetOf(agent), path, { method: 'PUT', headers: [['Content-Type', 'application/json'], ['Accept', 'application/json']], body: JSON.stringify(body) })
  if (response.status !== 200) throw new Error(`PUT ${path}: ${response.statusLine} ${response.text()}`)
  return response
}

/** The five members of ConsulServiceRegistration.cs, PascalCase, nulls omitted. */
export function serviceBody (host: PluginHost): Record<string, unknown> {
  const url = new URL(host.address)
  const implied = url.protocol === 'https:' ? 443 : 80
  return { ID: host.id, Name: 'api', Tags: host.tags, Address: host.address, Port: Number(url.port || implied) }
}

/** The bodies of the checks, in the order they are sent. */
export function checkBodies (host: PluginHost, options: PluginOptions = {}): Array<Record<string, unknown>> {
  const base = host.address.endsWith('/') ? host.address : `${host.address}/`
  const checks: Array<Record<string, unknown>> = []
  if (options.heartbeat !== false) {
    checks.push({
      ID: `${host.id}:SS-Heartbeat`,
      Name: 'SS-Heartbeat',
      ServiceID: host.id,
      Notes: 'A heartbeat service to check if the service is reachable, expects 200 response',
      HTTP: `${base}json/reply/Heartbeat?`,
      Interval: `${options.heartbeatIntervalS ?? 30}s`,
      DeregisterCriticalServiceAfter: '90m'
    })
  }
  if (options.healthCheckIntervalS !== undefined) {
    checks.push({
      ID: `${host.id}:SS-HealthCheck`,
      Name: 'SS-HealthCheck',
      ServiceID: host.id,
      Notes: 'This check is an HTTP GET request which expects the service to return 200 OK',
      HTTP: `${base}json/reply/HealthCheck?message=Ok`,
      Interval: `${options.healthCheckIntervalS}s`
    })
  }
  return checks
}

/** The service first, then each check: as AfterInit does. Returns the id registered. */
export async function registerAsPlugin (agent: string, host: PluginHost, options: PluginOptions = {}): Promise<string> {
  const { id } = host
  await put(agent, '/v1/agent/service/register', serviceBody(host))
  if (options.withoutChecks === true) return id
  for (const check of checkBodies(host, options)) await put(agent, '/v1/agent/check/register', check)
  return id
}

/** As the plugin tries: by GET, which Consul since 1.0 refuses with 405. Returns the answer. */
export async function deregisterAsPlugin (agent: string, id: string): Promise<RawResponse> {
  return await request(targetOf(agent), `/v1/agent/service/deregister/${id}`)
}

/** As an operator does, or a plugin with PR 30: by PUT. */
export async function deregister (agent: string, id: string): Promise<void> {
  const response = await request(targetOf(agent), `/v1/agent/service/deregister/${id}`, { method: 'PUT' })
  if (response.status !== 200) throw new Error(`deregister ${id}: ${response.statusLine}`)
}
