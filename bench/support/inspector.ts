// A session with the inspector of a Node process that was started with --inspect=127.0.0.1:PORT.
import { ask } from './network.ts'

export interface Inspector {
  /** Calls a method of the protocol and resolves with its result. */
  call <T = unknown>(method: string, parameters?: Record<string, unknown>): Promise<T>
  /** Evaluates an expression in the main thread; its value must be JSON. */
  evaluate <T>(expression: string): Promise<T>
  close (): void
}

interface Reply { id?: number, result?: unknown, error?: { message: string } }
interface Waiting { resolve (result: unknown): void, reject (error: Error): void }

/** Connects to the main thread of the process. */
export const inspect = async (port: number): Promise<Inspector> => {
  const { body } = await ask(port, '/json/list')
  const [target] = JSON.parse(body.toString()) as Array<{ webSocketDebuggerUrl: string }>
  if (target === undefined) throw new Error(`the inspector on port ${port} lists nothing`)
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  const waiting = new Map<number, Waiting>()
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
  socket.addEventListener('message', ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply
    const call = reply.id === undefined ? undefined : waiting.get(reply.id)
    if (call === undefined) return // An event: nobody here asked for any.
    waiting.delete(reply.id!)
    if (reply.error === undefined) call.resolve(reply.result)
    else call.reject(new Error(reply.error.message))
  })
  await opened.promise

  const call = <T>(method: string, params: Record<string, unknown> = {}): Promise<T> => new Promise((resolve, reject) => {
    const id = ++lastId
    waiting.set(id, { resolve: result => resolve(result as T), reject })
    socket.send(JSON.stringify({ id, method, params }))
  })
  const evaluate = async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = await call<{ result: { value: T }, exceptionDetails?: { text: string } }>('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${exceptionDetails.text}`)
    return result.value
  }
  return { call, evaluate, close: () => socket.close() }
}

/** What is live after a full collection. */
export const liveMemory = async (inspector: Inspector): Promise<NodeJS.MemoryUsage> => {
  // Twice: what finalizers let go of in the first is freed by the second.
  await inspector.call('HeapProfiler.collectGarbage')
  await inspector.call('HeapProfiler.collectGarbage')
  return await inspector.evaluate<NodeJS.MemoryUsage>('process.memoryUsage()')
}
