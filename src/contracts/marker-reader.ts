// Reads the markers of endpoints in the background, few at a time: nobody waits for them. Timers are injected.
import { noMarkers, type Markers } from './markers.ts'
import type { Question } from './ask.ts'

/** An endpoint whose markers are wanted. `process`: a new one is read anew. */
export interface MarkerTarget {
  readonly question: Question
  readonly process: string
}

export interface MarkerReaderOptions {
  readonly read: (question: Question, signal: AbortSignal) => Promise<Markers | 'later'>
  readonly onMarkers: (url: string, markers: Markers) => void
  readonly setTimeout?: (callback: () => void, ms: number) => unknown
  readonly clearTimeout?: (timer: unknown) => void
}

export interface MarkerReader {
  /** The whole set of those wanted; others are forgotten. */
  want (targets: readonly MarkerTarget[]): void
  close (): void
}

/** A first answer makes a host reflect over all its types: two at a time leave it and us in peace. */
const concurrency = 2
const firstDelayMs = 5_000
/** After that many tries an endpoint counts as having none. */
const mostTries = 6

interface Entry {
  readonly target: MarkerTarget
  tries: number
  running: AbortController | undefined
  timer: unknown
}

export function createMarkerReader (options: MarkerReaderOptions): MarkerReader {
  const startTimer = options.setTimeout ?? ((callback, ms) => setTimeout(callback, ms))
  const stopTimer = options.clearTimeout ?? (timer => clearTimeout(timer as NodeJS.Timeout))
  const entries = new Map<string, Entry>()
  const waiting: Entry[] = []
  let running = 0

  const isWanted = (entry: Entry) => entries.get(entry.target.question.url) === entry

  const finish = (entry: Entry, markers: Markers | 'later') => {
    running--
    entry.running = undefined
    if (isWanted(entry)) {
      const { url } = entry.target.question
      if (markers === 'later' && ++entry.tries < mostTries) {
        entry.timer = startTimer(() => {
          entry.timer = undefined
          waiting.push(entry)
          pump()
        }, firstDelayMs * 2 ** (entry.tries - 1))
      } else {
        entries.delete(url)
        options.onMarkers(url, markers === 'later' ? noMarkers : markers)
      }
    }
    pump()
  }

  const pump = () => {
    while (running < concurrency) {
      const entry = waiting.shift()
      if (entry === undefined) return
      if (!isWanted(entry)) continue
      const controller = entry.running = new AbortController()
      running++
      // Reading never rejects; should it, it is tried again as after silence.
      options.read(entry.target.question, controller.signal).then(markers => finish(entry, markers), () => finish(entry, 'later'))
    }
  }

  const forget = (url: string, entry: Entry) => {
    entries.delete(url)
    entry.running?.abort()
    stopTimer(entry.timer)
  }

  return {
    want (targets) {
      const wanted = new Set(targets.map(({ question }) => question.url))
      for (const [url, entry] of entries) if (!wanted.has(url)) forget(url, entry)
      for (const target of targets) {
        const { url } = target.question
        const before = entries.get(url)
        if (before?.target.process === target.process) continue
        if (before !== undefined) forget(url, before)
        const entry: Entry = { target, tries: 0, running: undefined, timer: undefined }
        entries.set(url, entry)
        waiting.push(entry)
      }
      pump()
    },
    close () {
      for (const [url, entry] of entries) forget(url, entry)
      waiting.length = 0
    }
  }
}
