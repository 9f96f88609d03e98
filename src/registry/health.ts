// The checks of a Consul health entry -> the health of a registration. Pure.
import type { Health } from './registration.ts'

/** A check as `GET /v1/health/service/:name` lists it. Fields may be missing or of any type: it is foreign text. */
export interface ConsulCheck {
  readonly CheckID?: unknown
  readonly Name?: unknown
  readonly Status?: unknown
  readonly Notes?: unknown
  readonly Output?: unknown
  readonly ServiceID?: unknown
  readonly Type?: unknown
  readonly Definition?: unknown
}

export interface HealthVerdict {
  readonly health: Health
  /** Notes of the maintenance check, or the output of the worst failing one. */
  readonly notes: string | undefined
  /** Unchecked, and the plugin's SS-HealthCheck is among the checks that have not run. */
  readonly healthCheck?: boolean
  /** Unchecked because it has no check. */
  readonly checkless?: boolean
}

/** Characters kept of a check's output. Consul itself keeps 4 KB. */
const notesLength = 500
/** Check types that Consul runs itself, so that critical with no output means "has not run yet". */
const runByConsul = new Set(['http', 'tcp', 'grpc'])

/**
 * Consul registers every check as critical with empty output and first runs it some time within its interval: up to 30 s for the plugin's
 * heartbeat. Until then it knows nothing, and the endpoint is asked by Postern. A TTL check never fed is critical: its own process is
 * to feed it. Maintenance is critical with empty output too, but an order.
 */
export function judgeHealth (checks: readonly ConsulCheck[]): HealthVerdict {
  let serviceChecks = 0
  let allFailingUnrun = true
  let healthCheck = false
  let worst: ConsulCheck | undefined
  let worstIsCritical = false
  for (const check of checks) {
    const id = text(check.CheckID)
    if (id === '_node_maintenance' || id.startsWith('_service_maintenance')) {
      return { health: 'maintenance', notes: notes(text(check.Notes)) ?? 'maintenance' }
    }
    const ofNode = text(check.ServiceID) === ''
    if (!ofNode) serviceChecks++
    if (check.Status === 'passing') continue
    // A status that Consul does not have is no proof of health.
    const critical = check.Status !== 'warning'
    if (isHealthCheck(id)) healthCheck = true
    if (ofNode || !critical || text(check.Output) !== '' || !runByConsul.has(typeOf(check))) allFailingUnrun = false
    if (worst === undefined || (critical && !worstIsCritical)) {
      worst = check
      worstIsCritical = critical
    }
  }
  if (worst === undefined) return serviceChecks === 0 ? { health: 'unchecked', notes: undefined, checkless: true } : { health: 'passing', notes: undefined }
  if (allFailingUnrun) return { health: 'unchecked', notes: undefined, ...(healthCheck ? { healthCheck } : {}) }
  return { health: worstIsCritical ? 'critical' : 'warning', notes: notes(text(worst.Output)) }
}

/**
 * Consul before 1.7 sends no `Type`. Its `Definition` tells where it is filled in; the plugin's own checks are known by name, as they
 * cannot be anything else (recorded: `ss-…:SS-Heartbeat`, `ss-…:SS-HealthCheck` are http, `ss-…:SS-Redis` is tcp).
 */
function typeOf (check: ConsulCheck): string {
  if (typeof check.Type === 'string' && check.Type !== '') return check.Type
  const definition = check.Definition
  if (typeof definition === 'object' && definition !== null) {
    const { HTTP, TCP, GRPC, TTL } = definition as Record<string, unknown>
    if (text(TTL) !== '') return 'ttl'
    if (text(HTTP) !== '') return 'http'
    if (text(TCP) !== '') return 'tcp'
    if (text(GRPC) !== '') return 'grpc'
  }
  if (check.Type === undefined) {
    const id = text(check.CheckID)
    if (id.startsWith('ss-') && /:SS-(Heartbeat|HealthCheck)$/.test(id)) return 'http'
    if (id.startsWith('ss-') && id.endsWith(':SS-Redis')) return 'tcp'
  }
  return ''
}

/** ss-{ServiceName}-{guid}:SS-HealthCheck, whose answer is the host's own delegate's: 200, 429 (warning) or 503. */
const isHealthCheck = (id: string): boolean => id.startsWith('ss-') && id.endsWith(':SS-HealthCheck')

const text = (value: unknown): string => typeof value === 'string' ? value : ''
const notes = (value: string): string | undefined => value === '' ? undefined : value.slice(0, notesLength)
