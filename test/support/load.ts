// Clients that never pause: every call is counted, and every answer that a healthy call must not get is kept. And what origins got by mistake.
import { setTimeout as sleep } from 'node:timers/promises'
import { openConnection, requestBytes, type RawConnection } from './http-client.ts'
import type { ServiceStackHost } from './servicestack-host.ts'
import { until } from './until.ts'

export interface Load extends AsyncDisposable {
  /** Calls answered so far. */
  readonly calls: number
  /** What was not 200, in order: `+1.234s GET /json/reply/X: HTTP/1.1 503 NoEndpoint …`. */
  readonly failures: string[]
  stop (): Promise<void>
}

/** Each of `callers` clients calls the targets in turn over one kept connection, `everyMs` apart. A target is a path, or `POST path`. */
export function startLoad (url: string, targets: string | readonly string[], { callers = 4, everyMs = 2 } = {}): Load {
  const list = typeof targets === 'string' ? [targets] : targets
  const state = { stopped: false, calls: 0, failures: [] as string[] }
  const startedAt = performance.now()
  const fail = (target: string, what: string) => state.failures.push(`+${((performance.now() - startedAt) / 1_000).toFixed(3)}s ${target}: ${what}`)
  const caller = async (first: number) => {
    let connection: RawConnection | undefined
    for (let n = first; !state.stopped; n++) {
      const target = list[n % list.length]!
      const isPost = target.startsWith('POST ')
      try {
        connection ??= await openConnection(url, { timeoutMs: 15 * 60_000 })
        connection.send(isPost ? requestBytes('x', target.slice(5), { method: 'POST', headers: [['Content-Type', 'application/json']], body: '{}' }) : requestBytes('x', target))
        const response = await connection.response()
        state.calls++
        if (response.status !== 200) fail(target, `${response.statusLine} ${response.text().slice(0, 200)}`)
      } catch (error) {
        fail(target, String(error))
        connection?.close()
        connection = undefined
      }
      await sleep(everyMs)
    }
    connection?.close()
  }
  const running = Array.from({ length: callers }, (_, n) => caller(n))
  const stop = async () => {
    state.stopped = true
    await Promise.all(running)
  }
  return {
    get calls () { return state.calls },
    get failures () { return state.failures },
    stop,
    [Symbol.asyncDispose]: stop
  }
}

/** Calls that reached a process that does not have the message. */
export function misdirected (hosts: readonly ServiceStackHost[]): string[] {
  return hosts.flatMap(host => host.calls.filter(({ executed }) => executed === undefined).map(({ target }) => `${target} at ${host.url} (${host.service})`))
}

/**
 * When so many calls in a row are answered well. Where a whole service died at once, its breaker may have opened, and lets go of trials one by
 * one: what is refused meanwhile is nobody's loss.
 */
export async function untilAllIsWell (load: Load, calls = 40): Promise<void> {
  let [since, failures] = [load.calls, load.failures.length]
  await until(`${calls} calls in a row to be answered well`, () => {
    if (load.failures.length !== failures) [since, failures] = [load.calls, load.failures.length]
    return load.calls > since + calls
  }, { everyMs: 5 })
}
