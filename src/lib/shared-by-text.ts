// One object for all who have the same text: it keeps none alive, so that what nobody holds any more is gone.
import { createHash } from 'node:crypto'

export class SharedByText<Value extends WeakKey> {
  readonly #values = new Map<string, WeakRef<Value>>()
  readonly #collected = new FinalizationRegistry<string>(digest => {
    // A later one of the same text may stand there by now.
    if (this.#values.get(digest)?.deref() === undefined) this.#values.delete(digest)
  })

  /** How many are remembered: those that somebody holds, and those that are not collected yet. */
  get size (): number { return this.#values.size }

  /** The one that somebody holds for this text; else a new one by `make`, which may say that there is none. */
  get <Made extends Value | undefined> (text: string, make: () => Made): Value | Made {
    const digest = createHash('sha256').update(text).digest('base64')
    const held = this.#values.get(digest)?.deref()
    if (held !== undefined) return held
    const made = make()
    if (made !== undefined) {
      this.#values.set(digest, new WeakRef<Value>(made))
      this.#collected.register(made, digest)
    }
    return made
  }
}
