// When which endpoint is asked: one schedule over all of them, bounded in concurrency, urgent ones first. Timers are injected.
import type { Answer, Question } from './ask.ts'

/**
 * `fast`: asked at once, every interval for a minute, then backing off, until it has answered, well, and its list is read.
 * `slow`: the same at leisure: its registry says it is down. `watched`: its answers decide something over and over (unconfirmed,
 * owner of a contested name): asked every maxIntervalMs for as long as that lasts. `steady`: as `fast`, and every maxIntervalMs again after
 * it has answered well: nobody else checks it (a check that fails from its first run may go untold for minutes).
 */
export type Pace = 'fast' | 'slow' | 'watched' | 'steady'

export interface Target {
  readonly question: Question
  /** What the answer is for (the registrations at the address and how they stand). A new key is asked at once, and so are new addresses of a host name. */
  readonly key: string
  readonly pace: Pace
}

export interface AskerSettings {
  readonly intervalMs: number
  readonly maxIntervalMs: number
  readonly concurrency: number
}

export interface AskerOptions {
  readonly settings: AskerSettings
  /** `onConnect`: to be called when somebody has taken the connection, once or more. */
  readonly ask: (question: Question, signal: AbortSignal, onConnect: () => void) => Promise<Answer>
  /** `key` is the one the question was asked for. `again`: something has changed since, and it is being asked once more. */
  readonly onAnswer: (url: string, answer: Answer, key: string, again: boolean) => void
  /** ms, monotonic. */
  readonly now?: () => number
  readonly random?: () => number
  readonly setTimeout?: (callback: () => void, ms: number) => unknown
  readonly clearTimeout?: (timer: unknown) => void
}

export interface Asker {
  /** The whole set of endpoints; those not in it are forgotten. */
  update (targets: readonly Target[]): void
  /**
   * Ask again although nothing changed: an answer of the endpoint gave reason to (at most once per recheckMs and endpoint: what comes too soon is asked
   * when that is over), or it was lost or found again (`always`). False when it is not among those that are asked.
   */
  recheck (url: string, always?: boolean): boolean
  configure (settings: AskerSettings): void
  readonly size: number
  close (): void
}

/** Shortest time between two rechecks of one endpoint, ms. */
export const recheckMs = 2_000
const fastPhaseMs = 60_000
/** However many are asked again and again, this long is left for each: a fleet that nobody checks must not keep us busy. */
const shortestShareMs = 20
/** Longest that a connect under way counts among the questions, ms: nobody answers for black-holed addresses until the question's time is over. */
export const connectMs = 100
/** So many times the questions at one time may be such connects: sockets are not without end. */
const mostConnects = 16
/** A dead registration stays for 90 minutes; asking it every 5 s would fill the slots. */
const slowFactor = 6

interface Entry {
  target: Target
  /** When its key was first seen: the start of the fast phase. */
  since: number
  dueAt: number
  delayMs: number
  running: AbortController | undefined
  /** Its last answer left nothing to ask for now. */
  settled: boolean
  /** The set of targets changed, or a recheck came, while it was being asked: when to ask once more. Infinity: neither. */
  againAt: number
  /** Of the last recheck; later than now while that is put off. */
  recheckedAt: number
  urgent: boolean
  /** Of its last question. */
  startedAt: number
  connected: boolean
  /** Whether its question counts among those that are asked at one time. */
  counts: boolean
  /** It has been asked since its key changed or it was to be asked again. */
  asked: boolean
  /** Its last question waited in vain for a connection, which is not refused either. */
  unreachable: boolean
}

/** What holds of one that is to be asked as if it never had been. */
const anew = (since: number) => ({ since, delayMs: 0, settled: false, asked: false, unreachable: false })

/** Whether an answer leaves nothing to ask for now. */
const isSettled = (answer: Answer) => answer.kind === 'answered' && answer.listed.state !== 'unread' && answer.sick === undefined

export function createAsker (options: AskerOptions): Asker {
  const now = options.now ?? (() => performance.now())
  const random = options.random ?? Math.random
  const startTimer = options.setTimeout ?? ((callback, ms) => setTimeout(callback, ms))
  const stopTimer = options.clearTimeout ?? (timer => clearTimeout(timer as NodeJS.Timeout))
  let settings = options.settings
  let closed = false
  let running = 0
  let runningBackedOff = 0
  /** Those that count while they have no connection, the longest first; and how many do not count any more. */
  const connecting = new Set<Entry>()
  let connects = 0
  let timer: unknown
  let timerAt = Infinity
  const entries = new Map<string, Entry>()
  /** Those with something to ask: resting endpoints cost nothing. */
  const active = new Set<Entry>()

  const schedule = (entry: Entry, dueAt: number) => {
    entry.dueAt = dueAt
    active.add(entry)
  }

  /** Next question to the same endpoint: never later than the interval in its first minute, spread by jitter so that a fleet does not beat in time. */
  const nextDelay = (entry: Entry): number => {
    const jitter = 0.7 + 0.3 * random()
    const pace = entry.target.pace
    if (pace === 'watched' || (pace === 'steady' && entry.settled)) return Math.max(settings.maxIntervalMs, active.size * shortestShareMs) * jitter
    const most = pace === 'slow' ? settings.maxIntervalMs * slowFactor : settings.maxIntervalMs
    if (pace !== 'slow' && now() - entry.since < fastPhaseMs) return settings.intervalMs * jitter
    entry.delayMs = Math.min(most, Math.max(entry.delayMs, settings.intervalMs) * 2)
    return entry.delayMs * jitter
  }

  const count = (entry: Entry, isCounted: boolean) => {
    const change = isCounted ? 1 : -1
    entry.counts = isCounted
    running += change
    if (!entry.urgent) runningBackedOff += change
  }

  const onConnect = (entry: Entry, controller: AbortController) => {
    if (entry.running !== controller || entry.connected) return
    entry.connected = true
    connecting.delete(entry)
    if (entry.counts) return
    // One more than allowed for a moment: it has waited long enough.
    connects--
    count(entry, true)
  }

  const letConnect = (time: number) => {
    for (const entry of connecting) {
      if (time - entry.startedAt < connectMs || connects >= settings.concurrency * mostConnects) return
      connecting.delete(entry)
      connects++
      count(entry, false)
    }
  }

  const finish = (entry: Entry, key: string, answer: Answer) => {
    const { startedAt, target: { question: { url } } } = entry
    if (entry.counts) count(entry, false)
    else connects--
    connecting.delete(entry)
    entry.running = undefined
    entry.unreachable = !entry.connected && now() - startedAt >= connectMs && entry.againAt === Infinity
    if (closed || entries.get(url) !== entry) return pump()
    entry.settled = isSettled(answer)
    const { againAt } = entry
    if (againAt < Infinity) schedule(entry, Math.max(now(), againAt))
    else if (entry.target.pace === 'watched' || entry.target.pace === 'steady' || !entry.settled) schedule(entry, Math.max(now(), startedAt + nextDelay(entry)))
    entry.againAt = Infinity
    // One that is put off for a while makes nobody wait.
    options.onAnswer(url, answer, key, againAt <= now())
    pump()
  }

  const start = (entry: Entry, urgent: boolean) => {
    const { key, question } = entry.target
    const controller = new AbortController()
    active.delete(entry)
    connecting.add(entry)
    const startedAt = now()
    Object.assign(entry, { running: controller, urgent, startedAt, connected: false, asked: true })
    // One that was put off comes by this as well.
    entry.recheckedAt = Math.min(entry.recheckedAt, startedAt)
    count(entry, true)
    options.ask(question, controller.signal, () => onConnect(entry, controller)).then(
      answer => finish(entry, key, answer),
      // ask() never rejects; should it, the endpoint counts as silent and the reason is shown.
      (error: unknown) => finish(entry, key, { kind: 'silent', reached: false, reason: String(error) }))
  }

  /** 0: urgent and not asked yet; 1: urgent; 2: not. */
  const rankOf = (entry: Entry, time: number) => entry.target.pace === 'slow' || entry.settled || entry.unreachable || time - entry.since >= fastPhaseMs ? 2 : entry.asked ? 1 : 0

  /** The one that has waited longest, of the lowest rank. Looked for anew for each free slot, mostly a single one: sorting thousands for it takes longer. */
  const nextDue = (time: number): { readonly entry: Entry, readonly urgent: boolean } | undefined => {
    // Half of the slots at most for those that have not answered for long: black-holed addresses must not hold up a fresh service.
    const mostRank = runningBackedOff < Math.max(1, settings.concurrency >> 1) ? 2 : 1
    let next: Entry | undefined
    let lowest = mostRank
    for (const entry of active) {
      if (entry.dueAt > time) continue
      const rank = rankOf(entry, time)
      if (rank > lowest || (rank === lowest && next !== undefined && entry.dueAt >= next.dueAt)) continue
      next = entry
      lowest = rank
    }
    return next === undefined ? undefined : { entry: next, urgent: lowest < 2 }
  }

  const pump = () => {
    if (closed) return
    const time = now()
    letConnect(time)
    while (running < settings.concurrency) {
      const next = nextDue(time)
      if (next === undefined) break
      start(next.entry, next.urgent)
    }
    arm(time)
  }

  const arm = (time: number) => {
    let next = Infinity
    let isWaiting = false
    for (const { dueAt } of active) {
      if (dueAt <= time) isWaiting = true
      else if (dueAt < next) next = dueAt
    }
    // A connect under way makes room for whoever waits.
    const [longest] = connecting
    if (isWaiting && longest !== undefined && longest.startedAt + connectMs > time) next = Math.min(next, longest.startedAt + connectMs)
    if (next >= timerAt && timerAt > time) return
    stopTimer(timer)
    timerAt = next
    if (next === Infinity) return
    timer = startTimer(() => {
      timerAt = Infinity
      pump()
    }, Math.max(1, Math.ceil(next - time)))
  }

  return {
    update (targets) {
      const time = now()
      const seen = new Set<string>()
      for (const target of targets) {
        const url = target.question.url
        seen.add(url)
        const entry = entries.get(url)
        if (entry === undefined) {
          const fresh: Entry = { target, since: time, dueAt: time, delayMs: 0, running: undefined, settled: false, againAt: Infinity, recheckedAt: -Infinity, urgent: false, startedAt: time, connected: false, counts: false, asked: false, unreachable: false }
          entries.set(url, fresh)
          schedule(fresh, time)
          continue
        }
        // At another address of its host name somebody else may answer.
        const changed = entry.target.key !== target.key || String(entry.target.question.ips) !== String(target.question.ips)
        const faster = entry.target.pace !== target.pace && target.pace !== 'slow'
        entry.target = target
        if (changed) Object.assign(entry, anew(time))
        if (!changed && !faster) continue
        if (entry.running !== undefined) entry.againAt = changed ? time : entry.againAt
        else schedule(entry, changed ? time : Math.min(active.has(entry) ? entry.dueAt : Infinity, time + settings.intervalMs))
      }
      for (const [url, entry] of entries) {
        if (seen.has(url)) continue
        entries.delete(url)
        active.delete(entry)
        entry.running?.abort()
      }
      pump()
    },
    recheck (url, always = false) {
      const entry = entries.get(url)
      const time = now()
      if (entry === undefined) return false
      // One is to come: its answer will be as good.
      if (!always && entry.recheckedAt > time) return true
      // The answer to one of a moment ago may be that of who stood there before.
      const dueAt = always ? time : Math.max(time, entry.recheckedAt + recheckMs)
      entry.recheckedAt = dueAt
      Object.assign(entry, anew(dueAt))
      if (entry.running !== undefined) entry.againAt = Math.min(entry.againAt, dueAt)
      else schedule(entry, active.has(entry) ? Math.min(entry.dueAt, dueAt) : dueAt)
      pump()
      return true
    },
    configure (next) {
      settings = next
      pump()
    },
    get size () { return entries.size },
    close () {
      closed = true
      stopTimer(timer)
      for (const entry of entries.values()) entry.running?.abort()
      entries.clear()
      active.clear()
    }
  }
}
