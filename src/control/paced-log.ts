// Log lines on their way to the main thread. Writing one is work between requests, so a storm of them is spread over time.
import type { LogLine } from './changes-log.ts'

export interface PacedLog {
  log (line: LogLine): void
  /** Sends what waits. */
  flush (): void
}

export interface PaceRules {
  /** Lines that leave in one go, and how long after it the next may: 20 lines are some 0.2 ms of the main thread. */
  readonly atOnce: number
  readonly everyMs: number
  /** Most lines that wait; what is beyond is counted in one line. */
  readonly most: number
}

const usual: PaceRules = { atOnce: 20, everyMs: 5, most: 4_000 }

export function createPacedLog (post: (line: LogLine) => void, { atOnce, everyMs, most }: PaceRules = usual): PacedLog {
  let waiting: LogLine[] = []
  let lost = 0
  /** Lines that may still leave before the timer. */
  let left = atOnce
  let timer: NodeJS.Timeout | undefined

  const send = (count: number) => {
    const lines = waiting.slice(0, count)
    waiting = waiting.slice(count)
    lines.forEach(post)
    left -= lines.length
    if (waiting.length > 0 || lost === 0) return
    post({ level: 'warn', fields: { lost }, message: 'log lines of the control plane were dropped' })
    lost = 0
  }

  const next = () => {
    timer = undefined
    left = atOnce
    send(atOnce)
    if (left < atOnce) timer = setTimeout(next, everyMs)
  }

  return {
    log (line) {
      timer ??= setTimeout(next, everyMs)
      if (waiting.length < most) waiting.push(line)
      else lost++
      if (left > 0) send(left)
    },
    flush () {
      clearTimeout(timer)
      timer = undefined
      left = atOnce
      send(waiting.length)
    }
  }
}
