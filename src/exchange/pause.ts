// Waiting on purpose within an exchange: for a back-off, for a delay that an operator injected.
import type { GatewayError } from './errors.ts'
import type { Exchange } from './exchange.ts'

/**
 * Milliseconds. `onCancel` is told before the promise rejects. `until`: ends it before; must not reject.
 * @throws GatewayError by the promise: why the exchange ended meanwhile
 */
export function pause (exchange: Exchange, ms: number, waitsFor: string, { onCancel, until }: { onCancel?: (error: GatewayError) => void, until?: Promise<unknown> } = {}): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let isOver = false
  const end = () => {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    exchange.waiting(undefined)
    resolve()
  }
  const timer = setTimeout(end, ms)
  void until?.then(end)
  exchange.waiting({
    waitsFor,
    cancel (error) {
      isOver = true
      clearTimeout(timer)
      onCancel?.(error)
      reject(error)
    }
  })
  return promise
}
