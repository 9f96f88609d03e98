// Where log lines go: a bounded buffer in front of a file descriptor. Never waits, never throws; what it cannot hold it counts.
import { openSync } from 'node:fs'
import { pino } from 'pino'

/** Lines are gathered to this size: one write a line costs four times as much as the line (pino's destination measures its whole buffer at each). */
const chunkBytes = 131_072
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
    maxWrite: 4 * chunkBytes,
    // Strings would be encoded three times on their way.
    contentMode: 'buffer',
    retryEAGAIN: () => Date.now() < giveUpAt
  })

  // Bytes at once, not text: a line is made of forty pieces, and thousands of lines' pieces outlive the collector's first look.
  let chunk = Buffer.allocUnsafeSlow(chunkBytes)
  /** Handed over last, and one that was written: it is used again, for the memory of a new one counts with the collector. */
  let handedOver: typeof chunk | undefined
  let spare: typeof chunk | undefined
  let used = 0
  let pendingLines = 0
  let waitingBytes = 0
  let dropped = 0
  let reported = 0
  let state: 'open' | 'broken' | 'closed' = 'open'

  target.on('error', (error: NodeJS.ErrnoException) => {
    // After EPIPE pino's destination turns itself off: nobody will ever read it again. Anything else (a full disk) is tried again with the next chunk.
    if (error.code === 'EPIPE') state = 'broken'
  })
  target.on('write', (bytes: number) => {
    waitingBytes -= bytes
    if (waitingBytes > 0) return
    spare = handedOver
    handedOver = undefined
  })

  function handOver (): void {
    if (used === 0) return
    const isSmall = used < chunkBytes / 2
    // A few lines (urgent ones, or a quiet second's) would keep a whole chunk each, while a slow destination lets them wait.
    const bytes = isSmall ? Buffer.from(chunk.subarray(0, used)) : chunk.subarray(0, used)
    const lines = pendingLines
    used = 0
    pendingLines = 0
    if (!give(bytes, lines) || isSmall) return
    handedOver = chunk
    chunk = spare ?? Buffer.allocUnsafeSlow(chunkBytes)
    spare = undefined
  }

  /** Returns whether the destination has them now. */
  function give (bytes: Buffer, lines: number): boolean {
    if (state !== 'open' || waitingBytes > maxWaitingBytes) {
      dropped += lines
      return false
    }
    waitingBytes += bytes.length
    // Its types know strings only; `contentMode` says otherwise.
    target.write(bytes as unknown as string)
    return true
  }

  function append (line: string): void {
    // Three bytes a character is the most that UTF-8 needs of UTF-16.
    if (line.length * 3 > chunkBytes - used) handOver()
    if (line.length * 3 > chunkBytes) {
      give(Buffer.from(line), 1)
      return
    }
    used += chunk.write(line, used)
    pendingLines++
  }

  const timer = setInterval(() => {
    handOver()
    if (state !== 'open') return
    // What failed (a full disk) is kept by the destination, which tries it again only when told to.
    if (waitingBytes > 0) target.flush()
    if (dropped === reported || waitingBytes > maxWaitingBytes / 2) return
    const lost = dropped - reported
    reported = dropped
    onRecovered(lost)
  }, flushEveryMs)
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
      append(line)
      if (urgent) handOver()
    },
    get dropped () { return dropped },
    async flush () {
      handOver()
      if (state !== 'open' || waitingBytes === 0) return
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

function withinMs (ms: number, start: (done: () => void) => void): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    start(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
