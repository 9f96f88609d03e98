// Those who wait for an endpoint's next answer and for the table that is made of it.
import type { RecheckReason } from './protocol.ts'

export interface Rechecks {
  /**
   * Settles when somebody there has answered and the table has what he said, or nobody has for long: of one that is lost, when nobody has once. At
   * once when nobody asks it.
   */
  wait (url: string, why: RecheckReason): Promise<void>
  /** It was asked; `said`: somebody answered. */
  answered (url: string, said: boolean): void
  /** Ends the waiting for endpoints that are not among these: nobody asks them any more. */
  only (urls: ReadonlySet<string>): void
}

/** So often an endpoint is asked in vain before nobody waits for its word any more: some seconds where questions fail at once. */
export const mostUnsaid = 20

interface Waiter extends PromiseWithResolvers<void> {
  /** Questions in vain after which it is over. */
  left: number
}

/**
 * `ask`: false when the endpoint is not among those that are asked. `isFresh`: its last word is young enough for one that is only cold. `settle`: settles
 * when everything known is in the table, or what is known of that endpoint.
 */
export function createRechecks (ask: (url: string, why: RecheckReason) => boolean, isFresh: (url: string) => boolean, settle: (of?: string) => Promise<void>): Rechecks {
  const waiting = new Map<string, Waiter[]>()
  const end = (url: string, isOver: (waiter: Waiter) => boolean) => {
    const left: Waiter[] = []
    for (const waiter of waiting.get(url) ?? []) {
      if (isOver(waiter)) waiter.resolve()
      else left.push(waiter)
    }
    if (left.length > 0) waiting.set(url, left)
    else waiting.delete(url)
  }
  return {
    async wait (url, why) {
      if (why === 'cold' && isFresh(url)) return await settle(url)
      if (!ask(url, why)) return
      const waiter: Waiter = { ...Promise.withResolvers<void>(), left: why === 'lost' ? 1 : mostUnsaid }
      const same = waiting.get(url)
      if (same === undefined) waiting.set(url, [waiter])
      else same.push(waiter)
      await waiter.promise
      await (why === 'cold' ? settle(url) : settle())
    },
    answered (url, said) { end(url, waiter => said || --waiter.left === 0) },
    only (urls) { for (const url of [...waiting.keys()]) if (!urls.has(url)) end(url, () => true) }
  }
}
