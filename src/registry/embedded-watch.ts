// Watches our own embedded registry: all its services under whatever name, those that register later too. It is in this thread, so nobody is asked.
import { readEntry } from './consul-entry.ts'
import type { EmbeddedRegistry } from './embedded.ts'
import type { NameRules } from './names.ts'
import type { Dropped, Registration, Watch, WatchListener } from './registration.ts'

export interface EmbeddedWatchOptions {
  /** A storm of changes is one snapshot per interval. Milliseconds. */
  readonly minIntervalMs?: number
  /** How often it says that it is well although nothing changed. Milliseconds. */
  readonly tellEveryMs?: number
  /** Wall clock of `lastGoodAt`. */
  readonly now?: () => number
}

/** Starts watching. The first snapshot comes before this returns. Closing it does not close the registry. */
export function watchEmbedded (registry: Pick<EmbeddedRegistry, 'url' | 'nodeName' | 'health' | 'onChange'>, rules: NameRules, listener: WatchListener, options: EmbeddedWatchOptions = {}): Watch {
  const { minIntervalMs = 20, tellEveryMs = 15_000, now = Date.now } = options
  let pause: NodeJS.Timeout | undefined

  const tell = (): void => listener.state({ registry: 'embedded', ok: true, lastGoodAt: now(), error: undefined, agent: registry.url })
  const publish = (): void => {
    const { index, entries } = registry.health()
    const registrations: Registration[] = []
    const dropped: Dropped[] = []
    for (const entry of entries) {
      const read = readEntry(entry, { ...rules, registry: 'embedded', isOurs: node => node === registry.nodeName })
      if ('registration' in read) registrations.push(read.registration)
      else if ('dropped' in read) dropped.push(read.dropped)
    }
    listener.snapshot({ registry: 'embedded', registrations, index, reset: false, ...(dropped.length === 0 ? {} : { dropped }) })
    tell()
  }
  const look = (): void => {
    pause = setTimeout(() => {
      // Subscribed before it is read: what changes meanwhile is told again.
      unsubscribe = registry.onChange(look)
      publish()
    }, minIntervalMs)
  }
  let unsubscribe = registry.onChange(look)
  publish()
  const timer = setInterval(tell, tellEveryMs)
  return {
    async close () {
      unsubscribe()
      clearTimeout(pause)
      clearInterval(timer)
    }
  }
}
