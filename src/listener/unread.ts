// Cuts clients that take nothing of an answer that is written to its end: until then what streams is watched by its own source. One timer for all of them.
import type { Socket } from 'node:net'
import { LinkedList, type Linked } from '../lib/linked-list.ts'

/** An answer that was written and has not left yet. */
export interface Unread extends Linked<Unread> {
  /** Called now and then; cuts the client that took nothing for so long. Returns whether to look again. */
  look (nowMs: number, idleMs: number): boolean
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
/** A time-out is noticed at the next look, so looks come often against it. Milliseconds between them. */
export const lookEveryMs = (timeoutMs: number): number => Math.max(leastLookMs, Math.floor(timeoutMs / looksPerTimeout))

export class UnreadAnswers {
  readonly #answers = new LinkedList<Unread>()
  readonly #idleMs: () => number
  #timer: NodeJS.Timeout | undefined

  /** `idleMs`: longest time in which nothing is taken; asked for at every look. */
  constructor (idleMs: () => number) { this.#idleMs = idleMs }

  add (answer: Unread): void {
    this.#answers.add(answer)
    this.#timer ??= this.#later()
  }

  remove (answer: Unread): void { this.#answers.remove(answer) }

  #later (): NodeJS.Timeout {
    return setTimeout(this.#look, lookEveryMs(this.#idleMs())).unref()
  }

  readonly #look = (): void => {
    const nowMs = performance.now()
    const idleMs = this.#idleMs()
    for (let answer = this.#answers.first; answer !== undefined;) {
      const { next } = answer
      if (!answer.look(nowMs, idleMs)) this.#answers.remove(answer)
      answer = next
    }
    this.#timer = this.#answers.first === undefined ? undefined : this.#later()
  }
}
