// Cuts clients that take nothing of an answer that is written whole: what streams is watched by its own source. One timer for all of them.
import type { Socket } from 'node:net'

/** What a client had taken at the last look that saw a change, and when that was. Not kept in the answer: hardly any answer needs it. */
export interface Taken { bytes: number, atMs: number }

/** An answer that was written and has not left yet. */
export interface Unread {
  /** Called now and then; cuts the client that took nothing for so long. Returns whether to look again. */
  look (nowMs: number, idleMs: number, taken: Taken): boolean
}

/** What Node keeps to itself of a socket. */
type Inner = Socket & { readonly _parent?: Socket, readonly _handle?: { readonly writeQueueSize?: number } | null }

/** The connection under a TLS socket. */
export const connectionUnder = (socket: Socket): Socket | undefined => (socket as Inner)._parent

/** What the kernel has not taken yet: within one long write all that shows that a client reads. Node's own timeouts go by it. */
export function queuedBytes (socket: Socket): number {
  const connection = connectionUnder(socket)
  return ((socket as Inner)._handle?.writeQueueSize ?? 0) + ((connection as Inner | undefined)?._handle?.writeQueueSize ?? 0)
}

const looksPerTimeout = 4
const leastLookMs = 25

export class UnreadAnswers {
  readonly #answers = new Map<Unread, Taken>()
  readonly #idleMs: () => number
  #timer: NodeJS.Timeout | undefined

  /** `idleMs`: longest time in which nothing is taken; asked for at every look. */
  constructor (idleMs: () => number) { this.#idleMs = idleMs }

  add (answer: Unread): void {
    this.#answers.set(answer, { bytes: -1, atMs: 0 })
    this.#timer ??= this.#later()
  }

  delete (answer: Unread): void { this.#answers.delete(answer) }

  #later (): NodeJS.Timeout {
    return setTimeout(this.#look, Math.max(leastLookMs, this.#idleMs() / looksPerTimeout)).unref()
  }

  readonly #look = (): void => {
    const nowMs = performance.now()
    const idleMs = this.#idleMs()
    for (const [answer, taken] of this.#answers) if (!answer.look(nowMs, idleMs, taken)) this.#answers.delete(answer)
    this.#timer = this.#answers.size === 0 ? undefined : this.#later()
  }
}
