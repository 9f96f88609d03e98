// Long work on the data plane's thread, cut so that no request waits for it.
import { setImmediate as nextTurn } from 'node:timers/promises'

const itemsPerLook = 8

/** Does `work` for every item, giving the event loop a turn after every `sliceMs` milliseconds. */
export async function inSlices<T> (items: Iterable<T>, work: (item: T) => void, sliceMs = 2): Promise<void> {
  let sliceEndsAtMs = performance.now() + sliceMs
  let sinceLook = 0
  for (const item of items) {
    work(item)
    if (++sinceLook < itemsPerLook) continue
    sinceLook = 0
    if (performance.now() < sliceEndsAtMs) continue
    await nextTurn()
    sliceEndsAtMs = performance.now() + sliceMs
  }
}
