// Where log lines go: a bounded buffer in front of a file descriptor. Never waits, never throws; what it cannot hold it counts.
import { openSync } from 'node:fs'
import { pino } from 'pino'

/** Lines are gathered to about this size, because one write a line costs more than the line (and pino's destination measures its whole buffer at each). */
const chunkChars = 8_192
const flushEveryMs = 1_000
/** Lines waiting for a slow destination; beyond it they are dropped. */
const maxWaitingBytes = 4 * 1_024 * 1_024
/** How long a flush, a close or the exit of the process waits for a destination that takes nothing. */
const giveUpMs = 1_000

export interface LogSink {
  /** One complete line, newline included. `urgent` lines are handed to the operating system at once. */
  write (line: string, urgent: boolean): void
  /** Lines lost since the start: the destination was full, slow or closed. */
  readonly dropped: number
  flush (): Promise<void>
  close (): Promise<void>
}

/**
 * Opens `destination` (stderr, stdout or a file path, appended to) at once: a path that cannot be opened is the operator's mistake and
 * throws here, not later. `onRecovered` is called with the number of lines lost after the destination works again.
 */
export function createLogSink (destination: string, onRecovered: (lost: number) => void): LogSink {
  const fd = destination === 'stderr' ? 2 : destination === 'stdout' ? 1 : openSync(destination, 'a')
  let giveUpAt = Infinity
  const target = pino.destination({
    dest: fd,
    sync: false,
    // 1 and not 0: with 0 the destination calls flush's callback before anything is written.
    minLength: 1,
    maxLength: maxWaitingBytes,
    retryEAGAIN: () => Date.now() < giveUpAt
  })

  let pending = ''
  let pendingLines = 0
  let dropped = 0
  let reported = 0
  let state: 'open' | 'broken' | 'closed' = 'open'

  target.on('drop', (chunk: string) => { dropped += countLines(chunk) })
  target.on('error', (error: NodeJS.ErrnoException) => {
    // After EPIPE pino's destination turns itself off: nobody will ever read it again. Anything else (a full disk) is tried again with the next chunk.
    if (error.code === 'EPIPE') state = 'broken'
  })
  target.on('write', () => {
    if (dropped === reported) return
    const lost = dropped - reported
    reported = dropped
    onRecovered(lost)
  })

  function handOver (): void {
    if (pending === '') return
    const chunk = pending
    const lines = pendingLines
    pending = ''
    pendingLines = 0
    if (state === 'open') target.write(chunk)
    else dropped += lines
  }

  const timer = setInterval(handOver, flushEveryMs)
  timer.unref()

  // Before pino's own exit handler, which would wait for ever for a reader that has stopped.
  const onExit = () => {
    giveUpAt = Date.now() + giveUpMs
    handOver()
    if (state !== 'open') return
    try {
      target.flushSync()
    } catch {
      // The process is ending and the destination takes nothing: there is nobody left to tell.
    }
    target.destroy()
  }
  process.prependOnceListener('exit', onExit)

  return {
    write (line, urgent) {
      if (state === 'closed') {
        dropped++
        return
      }
      pending += line
      pendingLines++
      if (urgent || pending.length >= chunkChars) handOver()
    },
    get dropped () { return dropped },
    async flush () {
      handOver()
      if (state !== 'open') return
      await withinMs(giveUpMs, done => target.flush(() => done()))
    },
    async close () {
      if (state === 'closed') return
      clearInterval(timer)
      handOver()
      process.removeListener('exit', onExit)
      const wasOpen = state === 'open'
      if (wasOpen) {
        await withinMs(giveUpMs, done => {
          target.once('close', done)
          target.once('error', done)
          target.end()
        })
        giveUpAt = 0
        target.destroy()
      }
      state = 'closed'
    }
  }
}

function countLines (chunk: string): number {
  let lines = 0
  for (let at = chunk.indexOf('\n'); at !== -1; at = chunk.indexOf('\n', at + 1)) lines++
  return lines
}

function withinMs (ms: number, start: (done: () => void) => void): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    start(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
