// Watches services of a Consul catalog: one loop of blocking queries per service and datacenter, merged into one snapshot.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConsulConfig } from '../config/schema.ts'
import { askNodes, contradicts, explainAbsence, leavesOutAll } from './consul-absence.ts'
import { AgentError, connectAgent } from './consul-agent.ts'
import type { AgentAnswer, AgentConnection } from './consul-agent.ts'
import { followCoordinates } from './consul-coordinates.ts'
import { ListReader, type ServiceView } from './consul-list.ts'
import { OwnNodes } from './own-nodes.ts'
import type { LastWord, Registration, UnreadPart, Watch, WatchListener } from './registration.ts'
import { answeredEarly, delayAfterAnswer, delayAfterFailure, stepIndex } from './watch-pace.ts'

export interface WatchOptions {
  /** Jitter. Default: Math.random. */
  readonly random?: () => number
  /** Wall clock of `lastGoodAt`. Default: Date.now. */
  readonly now?: () => number
  /** What is known of which nodes are this machine; more is learnt. Default: nothing. */
  readonly ownNodes?: OwnNodes
  /** How long what has been answered waits for what has not, neither well nor badly, ms. Default: 2,000. */
  readonly patienceMs?: number
  /** What the catalog is known to have said before: first answers are compared with it, as later ones are with those before them. Default: nothing. */
  readonly known?: LastWord | undefined
}

/** How the loop of one service in one datacenter is doing. */
interface LoopState {
  readonly service: string
  /** Undefined: the agent's own. */
  readonly datacenter: string | undefined
  /** Not the nearest of several. */
  readonly far: boolean
  view: ServiceView | undefined
  /** What was said before the watch began; of no use once there is a view. */
  known: LastWord | undefined
  /** The index under which an answer left out what another had named: until it moves every answer is read anew. */
  contradicted: number | undefined
  error: string | undefined
  lastGoodAt: number | undefined
  agent: string | undefined
}

const defaultPatienceMs = 2_000

/**
 * Starts watching. The first snapshot comes when one service has been answered and every other has been, or has failed, or its time is over: one that
 * cannot be read holds up no other, and the snapshot names it. Later ones come whenever Consul's index moves. An error (refusal included) takes
 * nothing away: what was read last stays in force, and the state says why.
 * Whatever the listener throws counts as a failed read and is shown in the state.
 */
export function watchConsul (config: ConsulConfig, listener: WatchListener, options: WatchOptions = {}): Watch {
  const registry = 'consul'
  const random = options.random ?? Math.random
  const now = options.now ?? Date.now
  const ownNodes = options.ownNodes ?? new OwnNodes()
  const patienceMs = options.patienceMs ?? defaultPatienceMs
  const closing = new AbortController()
  let errors = 0
  let patience: NodeJS.Timeout | undefined
  /** An answer that has not been told yet, because others are waited for or the listener threw, is to be doubted in what it leaves out. */
  let isDoubted = false
  const datacenters = config.datacenters.length > 0 ? config.datacenters : [config.datacenter]
  const services = [...new Set(config.services)]
  const isSole = datacenters.length * services.length === 1
  const loops = datacenters.flatMap((datacenter, index) => services.map((service): LoopState =>
    ({ service, datacenter, far: index > 0, view: undefined, known: knownOf(options.known, service, datacenter, isSole), contradicted: undefined, error: undefined, lastGoodAt: undefined, agent: undefined })))

  const publish = (reset: boolean): void => {
    const views: ServiceView[] = []
    const unread: UnreadPart[] = []
    isDoubted ||= reset
    for (const { view, far, error, service, datacenter } of loops) {
      if (view !== undefined) views.push(view)
      else if (error !== undefined) unread.push({ service, datacenter, awaited: !far })
    }
    if (views.length === 0) return
    if (views.length + unread.length < loops.length) {
      patience ??= setTimeout(endWaiting, patienceMs)
      return
    }
    const indexes = views.flatMap((view) => view.index ?? [])
    const dropped = views.flatMap((view) => view.dropped)
    listener.snapshot({
      registry,
      registrations: views.length === 1 ? views[0]!.registrations : views.flatMap((view) => view.registrations),
      index: indexes.length === 0 ? undefined : Math.max(...indexes),
      reset: isDoubted,
      ...(dropped.length === 0 ? {} : { dropped }),
      ...(unread.length === 0 ? {} : { unread })
    })
    isDoubted = false
  }

  /** Publishes what the others have answered. Whether that was possible: else the error says what the listener has against it. */
  const publishWithout = (loop: LoopState): boolean => {
    try {
      publish(false)
      return true
    } catch (error) {
      loop.error = (error as Error).message
      return false
    }
  }

  const endWaiting = (): void => {
    const silent = loops.filter(({ view, error }) => view === undefined && error === undefined)
    for (const loop of silent) loop.error = 'it has not answered yet'
    if (silent[0] === undefined) return
    publishWithout(silent[0])
    tell(loops.find(({ agent }) => agent !== undefined)?.agent)
  }

  const tell = (agent: string | undefined): void => {
    let error: string | undefined
    let oldest: number | undefined = Infinity
    const failing = loops.filter(({ error }) => error !== undefined).map(({ service, datacenter, lastGoodAt }) => ({ service, datacenter, lastGoodAt }))
    for (const loop of loops) {
      if (loop.error !== undefined) error ??= loops.length === 1 ? loop.error : `${nameOf(loop)}: ${loop.error}`
      if (loop.lastGoodAt === undefined && (loop.far || loop.error !== undefined)) continue
      oldest = loop.lastGoodAt === undefined || oldest === undefined ? undefined : Math.min(oldest, loop.lastGoodAt)
    }
    // Neither well nor ill: the first words are still awaited.
    if (oldest === undefined && error === undefined) return
    if (oldest === Infinity) oldest = undefined
    listener.state({ registry, ok: error === undefined && oldest !== undefined, lastGoodAt: oldest, error, agent, errors, ...(failing.length === 0 || failing.length === loops.length ? {} : { failing }) })
  }

  const follow = async (loop: LoopState): Promise<void> => {
    const { signal } = closing
    const { service, datacenter } = loop
    const isOurs = (node: string, at: string | undefined): boolean => ownNodes.has(node, at ?? datacenter)
    const reader = new ListReader(loop, { ...config, registry, isOurs })
    let connection: AgentConnection | undefined
    let agent = 0
    let asked = 0
    let lastSeen = 0
    let failures = 0
    let early = 0
    let judgedWith = ownNodes.changes
    let isLeftOut = false
    // An index says nothing about what another agent, or the same one after a failure, holds: its first answer always counts.
    let mustPublish = true
    while (!signal.aborted) {
      let delayMs: number
      const startedAt = performance.now()
      const url = config.agents[agent]!
      try {
        const fresh = connection === undefined
        connection ??= await connectAgent(url, { ...config, datacenter })
        const index = connection.interrupted ? 0 : asked
        mustPublish ||= connection.interrupted
        const isToTell = fresh || (connection.onOurMachine === true && !ownNodes.knows(url))
        const [answer, self] = await Promise.all([
          connection.healthOf({ service, index, waitMs: config.waitMs }, signal),
          isToTell ? connection.self(signal) : undefined
        ])
        const answeredAt = performance.now()
        accept(answer, loop)
        const isDoubtful = await doubt(answer, loop, connection, signal)
        const step = stepIndex(lastSeen, answer.index)
        early = answeredEarly(asked, answer.index, answeredAt - startedAt, config) ? early + 1 : 0
        if (connection.onOurMachine === true) {
          if (self?.node !== undefined) ownNodes.told(url, { node: self.node, datacenter: self.datacenter }, config.agents)
          else if (!loop.far) ownNodes.guess(url, answer.entries, config.agents)
        }
        const isJudgedAnew = judgedWith !== ownNodes.changes
        if (mustPublish || isJudgedAnew || step.reset || isNews(answer, loop)) {
          if (isJudgedAnew) reader.forget()
          judgedWith = ownNodes.changes
          take(reader.read(answer), loop)
          publish(step.reset || isDoubtful || loop.contradicted !== undefined)
          mustPublish = false
        }
        lastSeen = answer.index === undefined ? lastSeen : answer.index
        asked = step.next
        failures = 0
        loop.error = undefined
        loop.lastGoodAt = now()
        loop.agent = shownUrl(url)
        tell(loop.agent)
        delayMs = delayAfterAnswer(answeredAt - startedAt, performance.now() - answeredAt, early, config)
      } catch (error) {
        connection?.close()
        connection = undefined
        if (signal.aborted) return
        // After a restart an agent's index may be lower than ours: waiting on ours would show nothing for the whole wait.
        asked = 0
        early = 0
        mustPublish = true
        failures++
        errors++
        agent = (agent + 1) % config.agents.length
        loop.error = `${shownUrl(url)}: ${(error as Error).message}`
        // The others may have waited for this one's first word.
        if (loop.view === undefined && !isLeftOut) isLeftOut = publishWithout(loop)
        tell(loop.agent)
        delayMs = delayAfterFailure(failures, config.agents.length, random(), config)
      }
      await sleep(delayMs, undefined, { signal }).catch(ignoreAbort)
    }
    connection?.close()
  }

  const running = loops.map(follow)
  if (config.coordinatesMs > 0) running.push(followCoordinates(config, (distances) => listener.distances?.(distances), closing.signal))
  return {
    async close () {
      closing.abort(new Error('the watch was closed'))
      clearTimeout(patience)
      await Promise.all(running)
    }
  }
}

const nameOf = ({ service, datacenter }: LoopState): string => datacenter === undefined ? service : `${service} in ${datacenter}`

/** Complete answers that must not be believed. Throws. */
function accept (answer: AgentAnswer, loop: LoopState): void {
  // Without a leader a server answers what it last knew; a restarted one knows nothing yet.
  if (!answer.knownLeader && (answer.entries.length === 0 || loop.view !== undefined)) throw new Error('the agent knows no leader of its cluster')
  if (answer.filteredByAcl && answer.entries.length === 0) throw new Error('the token may not read this service')
}

/** Whether what is missing from an answer may be missing only because our token lost a right, or the catalogue all it had. Throws where that is certain. */
async function doubt (answer: AgentAnswer, { view, known, service }: LoopState, connection: AgentConnection, signal: AbortSignal): Promise<boolean> {
  if (answer.filteredByAcl && view?.filtered === false) return true
  const before = (view ?? known)?.registrations ?? []
  if (answer.entries.length > 0) return leavesOutAll(before, answer.entries) && await isDoubtful(connection, before, signal)
  if (view?.registrations.length === 0) return false
  return await explainAbsence(connection, service, before, signal) === 'doubtful'
}

/** What an answer names is served whatever the nodes say, or do not say: only of what it leaves out that is no word. */
async function isDoubtful (connection: AgentConnection, before: readonly Registration[], signal: AbortSignal): Promise<boolean> {
  try {
    return await askNodes(connection, before, signal) === 'doubtful'
  } catch (error) {
    if (error instanceof AgentError) return true
    throw error
  }
}

/** Whether an answer may say something else than the last one. */
function isNews ({ index }: AgentAnswer, { view, contradicted }: LoopState): boolean {
  return index === undefined || index !== view?.index || index === contradicted
}

function take (view: ServiceView, loop: LoopState): void {
  // An answer without an index stands under the last one.
  const index = view.index ?? loop.view?.index
  if (contradicts(loop.view ?? loop.known, view)) loop.contradicted = index
  else if (index !== loop.contradicted) loop.contradicted = undefined
  loop.view = { ...view, index }
  loop.known = undefined
}

/** What is known of one service in one datacenter. An index is that of several where it is not the sole one watched. */
function knownOf (known: LastWord | undefined, service: string, datacenter: string | undefined, isSole: boolean): LastWord | undefined {
  if (known === undefined) return undefined
  const isOurs = (one: Registration): boolean => one.registeredAs === service && (datacenter === undefined || one.datacenter === datacenter)
  return { registrations: known.registrations.filter(isOurs), index: isSole ? known.index : undefined }
}

/** Agent URLs may carry a user name and password. */
function shownUrl (url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}

function ignoreAbort (error: Error): void {
  if (error.name !== 'AbortError') throw error
}
