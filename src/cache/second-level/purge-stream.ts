// Purges of all gateways in one stream of the server: told to the others, and heard from them, also what was missed while away.
import { compareIds, isId } from './frame.ts'
import { Link, within, type LinkOptions } from './link.ts'
import { firstId, purgeFromText, purgeToText, SharedPurges, type Outgoing } from './purges.ts'

export interface PurgeStreamOptions extends LinkOptions {
  readonly key: string
  /** Of this process, so that it does not carry out twice what it told itself. */
  readonly gateway: string
}

export interface PurgeStreamEvents {
  /** Another gateway purged. */
  heard (purge: Outgoing): void
  /** What others purged meanwhile cannot be known: nothing here is to be trusted without asking. */
  missed (reason: string): void
  state (up: boolean, reason: string): void
}

/** Purges that the stream keeps, about: how long a gateway may be away and still learn of each. */
const kept = 50_000
const pageSize = 1_000
/** How long the server holds a question for purges; an answer later than twice that means it hangs. */
const blockMs = 250
const hangsAfterMs = 2_000
/** Purges are told together, so that many writes of one kind are one purge. */
const gatherMs = 20
/** Beyond that without a word, another gateway's purge could have been missed. */
const trustedForMs = 1_000
/** A server that lost what it was told of late is told again. */
const rememberedMs = 60_000
const mostRemembered = 1_000

type Entry = [id: string, fields: string[]]

export class PurgeStream {
  readonly purges = new SharedPurges()
  readonly counts = { told: 0, heard: 0 }
  readonly #options: PurgeStreamOptions
  readonly #events: PurgeStreamEvents
  readonly #link: Link
  /** undefined: never read. */
  #last: string | undefined
  #heardAtMs = -Infinity
  #telling: NodeJS.Timeout | undefined
  #tellingNow = false
  #toldAtMs = -Infinity
  /** Of late, oldest first. */
  #told: Array<{ readonly purge: Outgoing, readonly atMs: number }> = []
  /** The connection that tells: reading holds its own. */
  readonly #teller: Link
  #closed = false

  constructor (options: PurgeStreamOptions, teller: Link, events: PurgeStreamEvents) {
    this.#options = options
    this.#events = events
    this.#teller = teller
    this.#link = new Link(options, { up: () => { void this.#listen() }, down: reason => events.state(false, reason) })
  }

  /** Whether what others purged is known up to now. */
  get live (): boolean { return performance.now() - this.#heardAtMs < trustedForMs }

  /** The last purge known: what is asked for from now on came after it. */
  get mark (): string { return this.#last ?? firstId }

  start (): void {
    this.#link.start()
  }

  close (): void {
    this.#closed = true
    clearTimeout(this.#telling)
    this.#link.close()
  }

  tell (purge: Outgoing): void {
    this.purges.add(purge)
    this.#tellSoon()
  }

  /** After the connection that tells came up again. */
  tellWaiting (): void {
    if (this.purges.waiting > 0) this.#tellSoon()
  }

  #tellSoon (): void {
    if (this.#tellingNow || this.#telling !== undefined || !this.#teller.up || this.#closed) return
    const waitMs = Math.max(0, this.#toldAtMs + gatherMs - performance.now())
    if (waitMs === 0) void this.#tell()
    else {
      this.#telling = setTimeout(() => {
        this.#telling = undefined
        void this.#tell()
      }, waitMs)
    }
  }

  async #tell (): Promise<void> {
    const { key, gateway } = this.#options
    this.#tellingNow = true
    this.#toldAtMs = performance.now()
    try {
      await within(hangsAfterMs, Promise.all(this.purges.outgoing().map(async purge => {
        const id = await this.#teller.command<string>('XADD', key, 'MAXLEN', '~', String(kept), '*', 'gateway', gateway, 'purge', purgeToText(purge))
        this.purges.confirmed(purge, id)
        this.counts.told++
        this.#told.push({ purge, atMs: performance.now() })
        if (this.#told.length > mostRemembered) this.#told.shift()
      })))
    } catch (error) {
      // They wait on, and go when the connection is there again.
      this.#teller.drop(error instanceof Error ? error.message : String(error))
    } finally {
      this.#tellingNow = false
    }
    this.tellWaiting()
  }

  async #listen (): Promise<void> {
    try {
      await this.#catchUp()
      this.#events.state(true, 'connected')
      while (this.#link.up) {
        const { key } = this.#options
        const reply = await within(hangsAfterMs, this.#link.command<Array<[string, Entry[]]> | null>('XREAD', 'COUNT', String(pageSize), 'BLOCK', String(blockMs), 'STREAMS', key, this.mark))
        for (const entry of reply?.[0]?.[1] ?? []) this.#take(entry)
        this.#heardAtMs = performance.now()
      }
    } catch (error) {
      this.#link.drop(error instanceof Error ? error.message : String(error))
    }
  }

  /** What was purged while this gateway was away, or before it was there. */
  async #catchUp (): Promise<void> {
    const { key } = this.#options
    const { first, last, trimmed } = await this.#extent()
    const away = this.#last
    if (away === undefined) {
      this.#last = firstId
      if (trimmed) this.purges.trustFrom(first)
      this.#events.missed('first contact')
    } else if (compareIds(last, away) < 0) {
      await this.#restore(last)
    } else if (trimmed && compareIds(first, away) > 0) {
      this.purges.trustFrom(first)
      this.#events.missed('away for too many purges')
    }
    for (;;) {
      const page = await within(hangsAfterMs, this.#link.command<Entry[]>('XRANGE', key, `(${this.mark}`, '+', 'COUNT', String(pageSize)))
      for (const entry of page) this.#take(entry)
      if (page.length < pageSize) break
    }
    this.#heardAtMs = performance.now()
  }

  /**
   * The server came back with less than it had: answers from before lost purges may be there again, so none is trusted from now on. What
   * was told of late is told again; whoever was away longer than that cannot know what else there was.
   */
  async #restore (last: string): Promise<void> {
    const { key, gateway } = this.#options
    const nowMs = performance.now()
    this.#last = last
    await within(hangsAfterMs, this.#link.command('XADD', key, 'MAXLEN', '~', String(kept), '*', 'gateway', gateway, 'floor', '1'))
    for (const { purge } of this.#told.filter(({ atMs }) => nowMs - atMs < rememberedMs)) this.tell(purge)
    if (nowMs - this.#heardAtMs > rememberedMs) this.#events.missed('the server lost purges')
  }

  /** First and last id, and whether older ones were dropped. */
  async #extent (): Promise<{ first: string, last: string, trimmed: boolean }> {
    const { key } = this.#options
    const exists = await within(hangsAfterMs, this.#link.command<number>('EXISTS', key))
    if (exists === 0) return { first: firstId, last: firstId, trimmed: false }
    const info = new Map<string, unknown>()
    const reply = await within(hangsAfterMs, this.#link.command<unknown[]>('XINFO', 'STREAM', key))
    for (let i = 0; i < reply.length; i += 2) info.set(String(reply[i]), reply[i + 1])
    const firstEntry = info.get('first-entry') as Entry | null | undefined
    const length = Number(info.get('length'))
    return {
      first: firstEntry?.[0] ?? String(info.get('last-generated-id')),
      last: String(info.get('last-generated-id')),
      // Servers before 7 do not say how many were ever added.
      trimmed: info.has('entries-added') ? Number(info.get('entries-added')) > length : length >= kept
    }
  }

  #take ([id, fields]: Entry): void {
    if (!isId(id)) return
    this.#last = id
    const of = (name: string): string | undefined => fields.find((_value, at) => at % 2 === 1 && fields[at - 1] === name)
    if (of('floor') !== undefined) return this.purges.trustFrom(id)
    const purge = purgeFromText(of('purge') ?? '')
    // What a newer version tells and this one does not know could mean anything.
    const meant = purge ?? { selector: { kind: 'all' }, soft: true } as const
    this.purges.note(meant, id)
    if (of('gateway') === this.#options.gateway) return
    this.counts.heard++
    this.#events.heard(meant)
  }
}
