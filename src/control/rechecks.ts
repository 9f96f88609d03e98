// Those who wait for an endpoint's next answer and for the table that is made of it.

export interface Rechecks {
  /** Settles when somebody there has answered and the table has what he said, or nobody has for long; at once when nobody asks it. */
  wait (url: string, always: boolean): Promise<void>
  /** It was asked; `said`: somebody answered. */
  answered (url: string, said: boolean): void
  /** Ends the waiting for endpoints that are not among these: nobody asks them any more. */
  only (urls: ReadonlySet<string>): void
}

/** So often an endpoint is asked in vain before nobody waits for its word any more: some seconds where questions fail at once. */
export const mostUnsaid = 20

interface Waiter extends PromiseWithResolvers<void> { unsaid: number }

/** `ask`: false when the endpoint is not among those that are asked. `settle`: settles when everything known is in the table. */
export function createRechecks (ask: (url: string, always: boolean) => boolean, settle: () => Promise<void>): Rechecks {
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
    async wait (url, always) {
      if (!ask(url, always)) return
      const waiter: Waiter = { ...Promise.withResolvers<void>(), unsaid: 0 }
      const same = waiting.get(url)
      if (same === undefined) waiting.set(url, [waiter])
      else same.push(waiter)
      await waiter.promise
      await settle()
    },
    answered (url, said) { end(url, waiter => said || ++waiter.unsaid === mostUnsaid) },
    only (urls) { for (const url of [...waiting.keys()]) if (!urls.has(url)) end(url, () => true) }
  }
}
