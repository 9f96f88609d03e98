// Waiting on purpose within an exchange: for a back-off, for a delay that an operator injected.
import type { GatewayError } from './errors.ts'
import type { Exchange } from './exchange.ts'

/**
 * Milliseconds. `onCancel` is told before the promise rejects.
 * @throws GatewayError by the promise: why the exchange ended meanwhile
 */
export function pause (exchange: Exchange, ms: number, waitsFor: string, onCancel?: (error: GatewayError) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    exchange.waiting(undefined)
    resolve()
  }, ms)
  exchange.waiting({
    waitsFor,
    cancel (error) {
      clearTimeout(timer)
      onCancel?.(error)
      reject(error)
    }
  })
  return promise
}
