// Of which messages the second level has answers, and until when: kept on disk, for after a restart nobody else knows it of a service that has left the catalog. I/O.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeWhole } from '../../lib/whole-file.ts'
import type { Selector } from '../purge-log.ts'

export interface SharedMessage {
  readonly upstream: string
  /** As its service lists it. */
  readonly message: string
  /** Until when the last of its answers may be given out with nobody to ask. Since the epoch. */
  readonly untilMs: number
}

const version = 1
const fileName = 'shared-messages.json'
const mostMessages = 20_000
const mostBytes = 16_777_216
/** What is lost when the process is killed. */
const savesAfterMs = 30_000

export const serializeShared = (messages: Iterable<SharedMessage>): string => `${JSON.stringify({ version, messages: [...messages] })}\n`

/**
 * Those whose answers have not all ended.
 * @throws Error when it is no such file
 */
export function parseShared (text: string, nowMs: number): SharedMessage[] {
  const value = JSON.parse(text) as { version?: unknown, messages?: unknown } | null
  if (value?.version !== version || !Array.isArray(value.messages)) throw new Error(`it is no file of messages of version ${version}`)
  return value.messages.slice(0, mostMessages).map((one: unknown) => {
    const { upstream, message, untilMs } = (one ?? {}) as Record<string, unknown>
    if (typeof upstream !== 'string' || typeof message !== 'string' || typeof untilMs !== 'number') throw new Error('one of its messages cannot be read')
    return { upstream, message, untilMs }
  }).filter(({ untilMs }) => untilMs > nowMs)
}

export class SharedMessages {
  readonly #path: string | undefined
  readonly #onProblem: (problem: string, error: Error) => void
  /** By upstream, then by message; both in lower case. */
  readonly #messages = new Map<string, Map<string, SharedMessage>>()
  #size = 0
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  /** `dataDirectory` undefined: nothing is kept beyond the process. */
  constructor (dataDirectory: string | undefined, onProblem: (problem: string, error: Error) => void) {
    this.#path = dataDirectory === undefined ? undefined : join(dataDirectory, fileName)
    this.#onProblem = onProblem
  }

  * all (): Generator<SharedMessage> {
    for (const messages of this.#messages.values()) yield * messages.values()
  }

  /** 0: nothing. */
  until (upstream: string, message: string): number {
    return this.#messages.get(upstream.toLowerCase())?.get(message.toLowerCase())?.untilMs ?? 0
  }

  /** An answer of it is there, and may be given out until then. Prefixes are routed by postern.yaml, whoever is gone. */
  note (upstream: string, message: string, untilMs: number): void {
    if (message.startsWith('/') || untilMs <= this.until(upstream, message)) return
    // What has ended makes room when the rest is written.
    if (this.#size < mostMessages || this.until(upstream, message) > 0) this.#set({ upstream, message, untilMs })
    this.#saveLater()
  }

  /** Nothing is left of what a purge of more than single answers means. What it costs grows with the number of upstreams, not of messages. */
  forget (selector: Selector): void {
    const before = this.#size
    if (selector.kind === 'all') this.#clear()
    else if (selector.kind === 'service') this.#drop(selector.service.toLowerCase())
    else if (selector.kind === 'message') for (const [upstream] of this.#messages) this.#delete(upstream, selector.message.toLowerCase())
    if (this.#size < before) this.#saveLater()
  }

  #set (message: SharedMessage): void {
    const upstream = message.upstream.toLowerCase()
    let messages = this.#messages.get(upstream)
    if (messages === undefined) this.#messages.set(upstream, messages = new Map<string, SharedMessage>())
    this.#size -= messages.size
    messages.set(message.message.toLowerCase(), message)
    this.#size += messages.size
  }

  #delete (upstream: string, message: string): void {
    const messages = this.#messages.get(upstream)
    if (messages?.delete(message) !== true) return
    this.#size--
    if (messages.size === 0) this.#messages.delete(upstream)
  }

  #drop (upstream: string): void {
    this.#size -= this.#messages.get(upstream)?.size ?? 0
    this.#messages.delete(upstream)
  }

  #clear (): void {
    this.#messages.clear()
    this.#size = 0
  }

  /** A file that cannot be read is reported, and passed over. */
  async load (): Promise<void> {
    if (this.#path === undefined) return
    try {
      if ((await stat(this.#path)).size > mostBytes) throw new Error(`it is longer than ${mostBytes} bytes`)
      for (const message of parseShared(await readFile(this.#path, 'utf8'), Date.now())) this.#set(message)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onProblem('which messages the second level has answers of cannot be read and is ignored', error as Error)
    }
  }

  /** Settles when everything is written. */
  async close (): Promise<void> {
    if (this.#timer !== undefined) this.#save()
    await this.#writing
  }

  #saveLater (): void {
    this.#timer ??= setTimeout(() => { this.#save() }, savesAfterMs).unref()
  }

  #save (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const nowMs = Date.now()
    for (const { upstream, message, untilMs } of this.all()) if (untilMs <= nowMs) this.#delete(upstream.toLowerCase(), message.toLowerCase())
    const path = this.#path
    if (path === undefined) return
    const text = serializeShared(this.all())
    this.#writing = this.#writing.then(async () => await writeWhole(path, text)).catch((error: unknown) => {
      this.#onProblem('which messages the second level has answers of could not be kept: after a restart they are not given for a service that is gone', error as Error)
    })
  }
}
