// Bounded concurrency and a bounded queue per upstream: one slow service never takes more than its share.
import type { Filter } from '../exchange/compose.ts'

/** The slot is held until the body is finished: a service that answers its head fast and its body slowly is slow all the same. */
export const bulkhead: Filter = async function bulkhead (exchange, next) {
  const { upstream } = exchange.route
  const slot = upstream.acquire(exchange)
  if (slot !== undefined) await slot
  try {
    const response = await next(exchange)
    response.body.onFinished(() => upstream.release())
    return response
  } catch (error) {
    upstream.release()
    throw error
  }
}
