// Which endpoints get no calls although the table has them, and why: what only the data plane sees, told to those who explain it.
import type { Endpoint } from './endpoint.ts'

/** `unreachable`: a connection failed; `breaker`: its calls failed; `held`: an operator; `ejected`: worse than the others; `paused`: it asked for it. */
export type LeftOutCause = 'unreachable' | 'breaker' | 'held' | 'ejected' | 'paused'

/** Can be cloned: it goes to the control thread. */
export interface LeftOut {
  readonly upstream: string
  readonly url: string
  readonly cause: LeftOutCause
  /** What went wrong, where that is known. */
  readonly reason: string | undefined
}

type Seen = Pick<Endpoint, 'url' | 'unreachable' | 'breakerHeld' | 'breakerState' | 'ejection' | 'pausedMs'>

/** Why an endpoint is left out; undefined: it is not. Being full is no reason: that passes with the next answer. Pure. */
export function whyLeftOut ({ unreachable, breakerHeld, breakerState, ejection, pausedMs }: Seen): Pick<LeftOut, 'cause' | 'reason'> | undefined {
  if (unreachable !== undefined) return { cause: 'unreachable', reason: unreachable }
  if (breakerHeld === 'open') return { cause: 'held', reason: undefined }
  // Half-open is out too: what it gets are trials.
  if (breakerHeld === undefined && breakerState !== 'closed') return { cause: 'breaker', reason: undefined }
  if (ejection !== undefined) return { cause: 'ejected', reason: ejection.reason }
  return pausedMs > 0 ? { cause: 'paused', reason: undefined } : undefined
}

export function * leftOut (upstreams: Iterable<{ readonly name: string, readonly endpoints: Iterable<Seen> }>): Generator<LeftOut> {
  for (const { name, endpoints } of upstreams) {
    for (const endpoint of endpoints) {
      const why = whyLeftOut(endpoint)
      if (why !== undefined) yield { upstream: name, url: endpoint.url, ...why }
    }
  }
}

/** Many endpoints die at one moment: that is one look. ms. */
const lookAfterMs = 20
/** Pauses and ejections end without a word: while anybody is out, it is looked at again. ms. */
const lookAgainMs = 1_000

export interface LeftOutWatch {
  /** Something about an endpoint has changed. */
  changed (): void
  close (): void
}

/** Tells who is left out whenever that is another list than the one before. */
export function watchLeftOut (read: () => Iterable<LeftOut>, tell: (all: readonly LeftOut[]) => void): LeftOutWatch {
  let timer: NodeJS.Timeout | undefined
  let dueAtMs = Infinity
  let told = '[]'
  const look = () => {
    dueAtMs = Infinity
    const all = [...read()]
    const text = JSON.stringify(all)
    if (text !== told) {
      told = text
      tell(all)
    }
    if (all.length > 0) lookIn(lookAgainMs)
  }
  const lookIn = (ms: number) => {
    const atMs = performance.now() + ms
    if (atMs >= dueAtMs) return
    dueAtMs = atMs
    clearTimeout(timer)
    timer = setTimeout(look, ms)
    timer.unref()
  }
  return {
    changed: () => lookIn(lookAfterMs),
    close: () => {
      dueAtMs = -Infinity
      clearTimeout(timer)
    }
  }
}
