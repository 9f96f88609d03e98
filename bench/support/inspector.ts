// A session with the inspector of a Node process that was started with --inspect=127.0.0.1:PORT.
import { ask } from './network.ts'

export interface Inspector {
  /** Calls a method of the protocol and resolves with its result. */
  call <T = unknown>(method: string, parameters?: Record<string, unknown>): Promise<T>
  /** Evaluates an expression in the main thread; its value must be JSON. */
  evaluate <T>(expression: string): Promise<T>
  /** The same of each thread that the process has beside it. */
  workers (): Promise<Array<Pick<Inspector, 'call' | 'evaluate'>>>
  close (): void
}

interface Reply { id?: number, result?: unknown, error?: { message: string }, method?: string, params?: { sessionId: string, message: string } }
interface Waiting { resolve (result: unknown): void, reject (error: Error): void }

/** Connects to the main thread of the process. */
export const inspect = async (port: number): Promise<Inspector> => {
  const { body } = await ask(port, '/json/list')
  const [target] = JSON.parse(body.toString()) as Array<{ webSocketDebuggerUrl: string }>
  if (target === undefined) throw new Error(`the inspector on port ${port} lists nothing`)
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  const waiting = new Map<number, Waiting>()
  const sessions: string[] = []
  let lastId = 0
  const opened = Promise.withResolvers<void>()
  const gone = () => {
    const error = new Error(`the inspector on port ${port} closed the connection`)
    opened.reject(error)
    waiting.forEach(({ reject }) => reject(error))
    waiting.clear()
  }
  socket.addEventListener('open', () => opened.resolve())
  socket.addEventListener('close', gone)
  const take = (text: string) => {
    const reply = JSON.parse(text) as Reply
    if (reply.method === 'NodeWorker.attachedToWorker') sessions.push(reply.params!.sessionId)
    if (reply.method === 'NodeWorker.receivedMessageFromWorker') return take(reply.params!.message)
    const call = reply.id === undefined ? undefined : waiting.get(reply.id)
    if (call === undefined) return // An event that nobody here asked for.
    waiting.delete(reply.id!)
    if (reply.error === undefined) call.resolve(reply.result)
    else call.reject(new Error(reply.error.message))
  }
  socket.addEventListener('message', ({ data }) => { take(String(data)) })
  await opened.promise

  const threadBy = (send: (message: string) => void): Pick<Inspector, 'call' | 'evaluate'> => {
    const call = <T>(method: string, params: Record<string, unknown> = {}): Promise<T> => new Promise((resolve, reject) => {
      const id = ++lastId
      waiting.set(id, { resolve: result => resolve(result as T), reject })
      send(JSON.stringify({ id, method, params }))
    })
    const evaluate = async <T>(expression: string): Promise<T> => {
      const { result, exceptionDetails } = await call<{ result: { value: T }, exceptionDetails?: { text: string } }>('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })
      if (exceptionDetails !== undefined) throw new Error(`${expression}: ${exceptionDetails.text}`)
      return result.value
    }
    return { call, evaluate }
  }
  const main = threadBy(message => socket.send(message))
  const workers = async () => {
    // Those that there are attach before it answers.
    await main.call('NodeWorker.enable', { waitForDebuggerOnStart: false })
    return sessions.map(sessionId => threadBy(message => { void main.call('NodeWorker.sendMessageToWorker', { sessionId, message }) }))
  }
  return { ...main, workers, close: () => socket.close() }
}

/** What is live after a full collection. */
export const liveMemory = async (inspector: Pick<Inspector, 'call' | 'evaluate'>): Promise<NodeJS.MemoryUsage> => {
  // Twice: what finalizers let go of in the first is freed by the second.
  await inspector.call('HeapProfiler.collectGarbage')
  await inspector.call('HeapProfiler.collectGarbage')
  return await inspector.evaluate<NodeJS.MemoryUsage>('process.memoryUsage()')
}
