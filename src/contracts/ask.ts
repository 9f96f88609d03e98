// Asks one endpoint who it is and what it lists: own id, operations, heartbeat or liveness path. I/O.
import { createAgent, get, type AskTls, type GetResult } from './get.ts'
import { toMarkers, type Markers } from './markers.ts'
import { parseOperations, property, type OperationList } from './operations.ts'

export interface Question {
  /** The endpoint: origin and base path without trailing slash. */
  readonly url: string
  /** plugin: a ServiceStack host with the discovery plugin; plain: anything else that speaks HTTP. */
  readonly kind: 'plugin' | 'plain'
  /** Asked of plain services: any complete answer below 500 counts. */
  readonly livenessPath: string
  /** Where its host name leads, as admitted. */
  readonly ips?: readonly string[] | undefined
  /** Asked of plugin hosts that have a health check of their own which their registry has not run. */
  readonly healthCheck?: boolean
  readonly tls?: AskTls | undefined
}

export interface AskLimits {
  /** Limit on one question, ms. An ask is at most four questions. */
  readonly timeoutMs: number
  readonly maxAnswerBytes: number
}

/** The endpoint's list: read; `none` = it publishes none (decisions 2.4); `unread` = not now, ask again. */
export type Listed =
  | { readonly state: 'read', readonly list: OperationList }
  | { readonly state: 'none', readonly reason: string }
  | { readonly state: 'unread', readonly reason: string }

export type Answer =
  /** No traffic on this word: `reached` tells a sick process (it spoke HTTP) from nobody. */
  | {
    readonly kind: 'silent'
    readonly reached: boolean
    readonly reason: string
    /** Somebody took the connection and had not answered when the time was over: he may hang, and he may be slow. */
    readonly listens?: true
    /** Neither a list nor a heartbeat is there, for good (4xx): it publishes none, whoever it is. */
    readonly listed?: Extract<Listed, { state: 'none' }>
  }
  | {
    readonly kind: 'answered'
    /** The registration id of the running process, from its own memory. */
    readonly ownId: string | undefined
    readonly listed: Listed
    /** What its heartbeat or health check said against it: who it is and what it lists is known all the same, but it is no proof of health. */
    readonly sick?: string | undefined
    /** It answers 200 to whatever it is asked and says neither who it is nor what it lists: no host of the plugin does that. */
    readonly strange?: true
    /** Its health check warns (429). */
    readonly warns?: string | undefined
    /** From X-Powered-By: 10.15; undefined for what is no ServiceStack host. */
    readonly servicestackVersion: string | undefined
    /** /api/X exists there: since 6.0. (5.14 is its preview; 5.2.0 hosts say 5.00 [measured], so only the major is believed.) */
    readonly apiForm: boolean
  }

/** Version in `ServiceStack/10.15 NET10/Linux`. */
export function toServicestackVersion (poweredBy: string): string | undefined {
  return /^ServiceStack\/(\d{1,4}(?:\.\d{1,6})*)/i.exec(poweredBy)?.[1]
}

/** The id in an answer of ServiceRegistration; undefined when it has none. */
export function toOwnId (result: GetResult): string | undefined {
  if (result.kind !== 'answer' || result.status !== 200) return undefined
  let value: unknown
  try {
    value = JSON.parse(result.body)
  } catch {
    // Another program at the address answers with something else: it reports no id.
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const id = property(value, 'id')
  return typeof id === 'string' && id.length > 0 && id.length <= 512 ? id : undefined
}

const busy = new Set([408, 425, 429])
const isFailure = (status: number): boolean => status >= 500 || busy.has(status)

export type ParseList = (body: string) => OperationList | undefined

/** What an answer to /operations/metadata says (decisions 2.4). */
export function toListed (result: GetResult, parse: ParseList = parseOperations): Listed {
  if (result.kind !== 'answer') return { state: 'unread', reason: result.reason }
  if (isFailure(result.status)) return { state: 'unread', reason: `its list answered ${result.status}` }
  if (result.status !== 200) return { state: 'none', reason: `its list answered ${result.status}` }
  const list = parse(result.body)
  if (list !== undefined) return { state: 'read', list }
  if (/json/i.test(result.contentType)) return { state: 'unread', reason: 'its list is not valid' }
  return { state: 'none', reason: `its list answered ${result.contentType.split(';')[0] || 'nothing'} in place of JSON` }
}

/** Asks one endpoint. Never rejects. At most four questions over one connection, each bounded by `limits`. `onConnect`: somebody has taken the connection; may be called more than once. */
export async function ask (question: Question, limits: AskLimits, signal: AbortSignal, onConnect?: () => void, parse: ParseList = parseOperations): Promise<Answer> {
  const agent = createAgent(question.url, question.ips)
  const put = (path: string) => get(question.url + path, { ...limits, tls: question.tls, agent, signal, onConnect })
  try {
    return await (question.kind === 'plugin' ? askPlugin(put, parse, question.healthCheck === true) : askPlain(put, parse, question.livenessPath))
  } finally {
    agent.destroy()
  }
}

/** Asks one endpoint for the markers of its DTOs. Never rejects; one question, bounded by `limits`. */
export async function askMarkers (question: Question, limits: AskLimits, signal: AbortSignal, parse?: (body: string) => Markers | undefined): Promise<Markers | 'later'> {
  const agent = createAgent(question.url, question.ips)
  try {
    return toMarkers(await get(`${question.url}/types/metadata.json`, { ...limits, tls: question.tls, agent, signal }), parse)
  } finally {
    agent.destroy()
  }
}

type Put = (path: string) => Promise<GetResult>

const versionOf = (...results: GetResult[]): string | undefined => {
  for (const result of results) {
    const version = result.kind === 'answer' ? toServicestackVersion(result.poweredBy) : undefined
    if (version !== undefined) return version
  }
  return undefined
}

const answered = (ownId: string | undefined, listed: Listed, version: string | undefined, { sick, warns }: Wellness = {}): Answer =>
  ({ kind: 'answered', ownId, listed, sick, warns, servicestackVersion: version, apiForm: Number.parseInt(version ?? '', 10) >= 6 })

const refusal = (result: GetResult, what: string): Answer => result.kind === 'answer'
  ? { kind: 'silent', reached: true, reason: `${what} answered ${result.status}` }
  : { kind: 'silent', reached: result.kind === 'broken', reason: result.reason, ...(result.kind === 'silent' && result.listens ? { listens: true } : {}) }

interface Wellness { readonly sick?: string | undefined, readonly warns?: string | undefined }

/** Why a question about its health says that the host is not well. One that is protected or not there (401, 404, 405) says nothing. */
function toSickness (result: GetResult, what: string): string | undefined {
  if (result.kind !== 'answer') return `${what}: ${result.reason}`
  return isFailure(result.status) ? `${what} answered ${result.status}` : undefined
}

/** The heartbeat and, where asked for, the health check: its delegate's Warning is 429, which Consul takes for a warning too. */
async function askHealth (put: Put, heartbeat: GetResult, healthCheck: boolean): Promise<Wellness> {
  const sick = toSickness(heartbeat, 'its heartbeat')
  if (sick !== undefined || !healthCheck) return { sick }
  const check = await put('/json/reply/HealthCheck?message=Ok')
  const said = toSickness(check, 'its health check')
  return check.kind === 'answer' && check.status === 429 ? { warns: said } : { sick: said }
}

/** Whether a program that knows nothing of our questions is content with them: a host that has something to hide refuses or redirects. */
function isStrange (own: GetResult, list: GetResult, { state }: Listed): boolean {
  return own.kind === 'answer' && own.status === 200 && toOwnId(own) === undefined && list.kind === 'answer' && list.status === 200 && state !== 'read'
}

async function askPlugin (put: Put, parse: ParseList, healthCheck: boolean): Promise<Answer> {
  const own = await put('/json/reply/ServiceRegistration')
  // Nobody listens: no point in asking on.
  if (own.kind === 'silent') return refusal(own, 'its registration')
  const answer = await put('/operations/metadata')
  // A host that cannot say now who it is may be a ghost's new tenant: its list alone is not believed.
  const unsure = own.kind === 'broken' || isFailure(own.status)
  const listed: Listed = unsure ? { state: 'unread', reason: own.kind === 'broken' ? own.reason : `its registration answered ${own.status}` } : toListed(answer, parse)
  // What Consul's check asks too: a first run that fails may go untold for minutes (check_update_interval), as if it had not run.
  const heartbeat = await put('/json/reply/Heartbeat')
  if (listed.state === 'read') return answered(toOwnId(own), listed, versionOf(own, answer, heartbeat), await askHealth(put, heartbeat, healthCheck))
  // Without a list, only its heartbeat says that it is a host and up.
  if (heartbeat.kind !== 'answer' || heartbeat.status !== 200) {
    const told = refusal(heartbeat, 'its heartbeat')
    const isForGood = listed.state === 'none' && heartbeat.kind === 'answer' && !isFailure(heartbeat.status)
    return told.kind === 'silent' ? { ...told, reached: true, ...(isForGood ? { listed } : {}) } : told
  }
  return { ...answered(toOwnId(own), listed, versionOf(own, answer, heartbeat), await askHealth(put, heartbeat, healthCheck)), ...(isStrange(own, answer, listed) ? { strange: true } : {}) }
}

async function askPlain (put: Put, parse: ParseList, livenessPath: string): Promise<Answer> {
  const alive = await put(livenessPath)
  if (alive.kind === 'silent' && !alive.connected) return refusal(alive, livenessPath)
  // A plain registration may still be a ServiceStack host, whose restricted messages must not get out.
  const answer = await put('/operations/metadata')
  const version = versionOf(alive, answer)
  const listed = toListed(answer, parse)
  const isAlive = alive.kind === 'answer' && alive.status < 500
  // What it is, a host that is not well can say too, but not one that fails whatever it is asked.
  if (!isAlive && listed.state === 'unread') return refusal(alive, livenessPath)
  // A failure may be a host's. Who answers well and with no list, and does not say that it is one, is none.
  const isOther = version === undefined && answer.kind === 'answer' && !isFailure(answer.status)
  return answered(undefined, isOther && listed.state === 'unread' ? { state: 'none', reason: listed.reason } : listed, version, isAlive ? {} : { sick: alive.kind === 'answer' ? `${livenessPath} answered ${alive.status}` : `${livenessPath}: ${alive.reason}` })
}
