// Those who wait for an endpoint's next answer and for the table that is made of it.

export interface Rechecks {
  /** Settles when the endpoint has been asked and the table has what it said; at once when nobody asks it. */
  wait (url: string, always: boolean): Promise<void>
  /** An answer came, or the endpoint is asked no more. */
  answered (url: string): void
  /** Ends the waiting for endpoints that are not among these: nobody asks them any more. */
  only (urls: ReadonlySet<string>): void
}

/** `ask`: false when the endpoint is not among those that are asked. `settle`: settles when everything known is in the table. */
export function createRechecks (ask: (url: string, always: boolean) => boolean, settle: () => Promise<void>): Rechecks {
  /** One promise an endpoint, however many wait. */
  const waiting = new Map<string, PromiseWithResolvers<void>>()
  const end = (url: string) => {
    const waiter = waiting.get(url)
    waiting.delete(url)
    waiter?.resolve()
  }
  return {
    async wait (url, always) {
      if (!ask(url, always)) return
      const waiter = waiting.get(url) ?? Promise.withResolvers<void>()
      waiting.set(url, waiter)
      await waiter.promise
      await settle()
    },
    answered: end,
    only (urls) { for (const url of [...waiting.keys()]) if (!urls.has(url)) end(url) }
  }
}
