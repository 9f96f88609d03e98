// When each request for an outage copy is due: a little early, spread by chance, later after failures, few at one time.
import type { Wanted } from './wanted.ts'

/** One request and its schedule. */
export interface Task {
  readonly wanted: Wanted
  /** performance.now() */
  dueAtMs: number
  running: boolean
  /** In a row. */
  failures: number
  /** The last one, where no success came after it. `atMs`: since the epoch. */
  failure: { readonly atMs: number, readonly reason: string } | undefined
}

/** Fetches under way, those that wait in `cache.background` counted. */
const mostAtOnce = 8
/** After a failure; twice as long after each further one, up to the request's own period. */
const firstAgainMs = 5_000
/** What is due "now" begins within so long. */
const spreadMs = 1_000
const soonestMs = 20

export class Schedule {
  readonly #tasks = new Map<string, Task>()
  readonly #run: (task: Task) => void
  #running = 0
  #timer: NodeJS.Timeout | undefined
  #state: 'new' | 'started' | 'closed' = 'new'

  /** `run` begins a fetch, and says by `over` when it has ended. */
  constructor (run: (task: Task) => void) {
    this.#run = run
  }

  get size (): number { return this.#tasks.size }
  get tasks (): Iterable<Task> { return this.#tasks.values() }
  get ids (): Iterable<string> { return this.#tasks.keys() }

  of (id: string): Task | undefined { return this.#tasks.get(id) }

  /** Whether anybody still wants to know what became of it. */
  has (task: Task): boolean { return this.#state !== 'closed' && this.#tasks.get(task.wanted.id) === task }

  configure (wanted: ReadonlyMap<string, Wanted>): void {
    for (const id of this.#tasks.keys()) if (!wanted.has(id)) this.#tasks.delete(id)
    for (const [id, one] of wanted) {
      if (!this.#tasks.has(id)) this.#tasks.set(id, { wanted: one, dueAtMs: soon(), running: false, failures: 0, failure: undefined })
    }
    this.#arm()
  }

  /** From now on what is due is begun. */
  start (): void {
    if (this.#state === 'new') this.#state = 'started'
    this.#arm()
  }

  close (): void {
    this.#state = 'closed'
    clearTimeout(this.#timer)
  }

  /** There is a copy that is so old: the next is due when that has had its time. */
  resume (task: Task, everyMs: number, ageMs: number): void {
    task.dueAtMs = Math.max(soon(), performance.now() + everyMs - ageMs)
  }

  /** As soon as may be. */
  hasten (task: Task): void {
    task.dueAtMs = Math.min(task.dueAtMs, soon())
    this.#arm()
  }

  succeeded (task: Task, everyMs: number): void {
    task.failures = 0
    task.failure = undefined
    // Not all at the same moment for ever.
    task.dueAtMs = performance.now() + everyMs * (0.9 + Math.random() / 10)
  }

  failed (task: Task, everyMs: number, reason: string): void {
    task.failures++
    task.failure = { atMs: Date.now(), reason }
    task.dueAtMs = performance.now() + Math.min(everyMs, firstAgainMs * 2 ** Math.min(task.failures - 1, 15)) * (0.5 + Math.random() / 2)
  }

  over (task: Task): void {
    task.running = false
    this.#running--
    this.#arm()
  }

  /** One timer for all: for whoever is due next. */
  #arm (): void {
    clearTimeout(this.#timer)
    if (this.#state !== 'started' || this.#running >= mostAtOnce) return
    let nextAtMs = Infinity
    for (const { dueAtMs, running } of this.#tasks.values()) if (!running) nextAtMs = Math.min(nextAtMs, dueAtMs)
    if (nextAtMs === Infinity) return
    this.#timer = setTimeout(() => this.#begin(), Math.max(soonestMs, nextAtMs - performance.now())).unref()
  }

  /** Who has waited longest comes first. */
  #begin (): void {
    const now = performance.now()
    const due = [...this.#tasks.values()].filter(({ running, dueAtMs }) => !running && dueAtMs <= now).sort((a, b) => a.dueAtMs - b.dueAtMs)
    for (const task of due.slice(0, mostAtOnce - this.#running)) {
      task.running = true
      this.#running++
      this.#run(task)
    }
    this.#arm()
  }
}

const soon = (): number => performance.now() + Math.random() * spreadMs
