// Whether somebody else may stand in an endpoint's place: which answers and which ends of connections are reason to ask who is there, and how often.
import { isServiceStack } from './response-headers.ts'

/** Shortest time between two doubts that prove to be none, ms: hosts that leave out a field or close what is idle are not to be asked all day. */
const quietMs = 5_000
/** The same after the end of its last connection, ms: until somebody else answers, nothing else may tell that he has come. */
const quietAfterLastMs = 1_000
/** How long a process is taken for the one that spoke last, where no connection is open on which its end would show, ms. */
export const freshMs = 5_000

export class Doubts {
  /** An answer has said that a ServiceStack host wrote it. */
  #saidSo = false
  #askedAtMs = -Infinity
  #cutAtMs = -Infinity
  #saidAtMs = -Infinity
  #asking: Promise<void> | undefined
  #losing: Promise<void> | undefined

  /** Settles when what is being asked is known. */
  get asking (): Promise<void> | undefined { return this.#asking }

  /** When the last question was over, performance.now(). */
  get saidAtMs (): number { return this.#saidAtMs }

  /** Settles when the table is made of it that nobody takes connections there. */
  get losing (): Promise<void> | undefined { return this.#losing }

  /**
   * Whether an answer is reason to ask. 405 is what ServiceStack says of an operation it does not have; it never says 404 of one [M], and tells its
   * name in each answer unless an operator took that out. `isHost`: the endpoint is a ServiceStack host.
   */
  byAnswer (status: number, headers: readonly string[], isHost: boolean): boolean {
    let isStrange = status === 405
    if (isHost) {
      const says = isServiceStack(headers)
      if (says) this.#saidSo = true
      // 101 and the like are the server's, not the host's.
      else if (status >= 200 && (this.#saidSo || status === 404)) isStrange = true
    }
    if (!isStrange) return false
    const nowMs = performance.now()
    if (nowMs - this.#askedAtMs < quietMs) return false
    this.#askedAtMs = nowMs
    return true
  }

  /** Whether it is reason to ask that the other end closed a connection. `isLast`: of those that had carried an answer. */
  byCut (isLast: boolean): boolean {
    const nowMs = performance.now()
    if (nowMs - this.#cutAtMs < (isLast ? quietAfterLastMs : quietMs)) return false
    this.#cutAtMs = nowMs
    return true
  }

  /** It was gone indeed: whoever comes next is doubted at once. */
  confirmed (): void {
    this.#cutAtMs = -Infinity
  }

  /** `question` must not reject. */
  async ask (question: () => Promise<void>): Promise<void> {
    const asking = question()
    this.#asking = asking
    await asking
    this.#saidAtMs = performance.now()
    if (this.#asking === asking) this.#asking = undefined
  }

  /** Nobody takes connections there: `told` settles when the table is made of that, and must not reject. */
  async lose (told: Promise<void>): Promise<void> {
    this.#losing = told
    await told
    if (this.#losing === told) this.#losing = undefined
  }

  /** Whatever is being asked, or told, is waited for no more. */
  drop (): void {
    this.#asking = undefined
    this.#losing = undefined
  }
}
