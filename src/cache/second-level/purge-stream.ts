// Purges of all gateways in one stream of the server: told to the others, and heard from them, also what was missed while away.
import { compareIds, isId } from './frame.ts'
import { Link, within, type LinkOptions } from './link.ts'
import { OtherGateways, silentMs } from './others.ts'
import { firstId, purgeFromText, purgeToText, SharedPurges, type Outgoing } from './purges.ts'

export interface PurgeStreamOptions extends LinkOptions {
  readonly key: string
  /** Of a second stream: which gateways there are, and how far each has carried out what is in the first. */
  readonly gatewaysKey: string
  /** Of this process, so that it does not carry out twice what it told itself. */
  readonly gateway: string
  /** How long a write waits for the others to carry out what it purged. 0 = not at all. */
  readonly confirmMs: number
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
const gatherMs = 5
/** How often a gateway says that it is there, where it has nothing to confirm: some times before it counts as gone. */
const announcedEveryMs = silentMs / 4
/** Words of gateways that the stream keeps, about: only the latest of each counts, and none for long. */
const keptWords = 2_000
/** How long a gateway that ends waits for the server to hear of it. */
const leavesWithinMs = 100
/** Beyond that without a word, another gateway's purge could have been missed. */
const trustedForMs = 1_000
/** A server that lost what it was told of late is told again. */
const rememberedMs = 60_000
const mostRemembered = 1_000

type Entry = [id: string, fields: string[]]

export class PurgeStream {
  readonly purges = new SharedPurges()
  readonly others = new OtherGateways()
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
  /** The last purge that this gateway told. */
  #lastTold = firstId
  #announcedAtMs = -Infinity
  /** Where reading what gateways say of themselves goes on. */
  #lastWord = firstId
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

  /** The others are told that nobody need wait for this one: for a short time, if the server can be reached. */
  async close (): Promise<void> {
    this.#closed = true
    clearTimeout(this.#telling)
    this.#link.close()
    this.others.giveUp(undefined)
    if (!this.#teller.up) return
    try {
      await within(leavesWithinMs, this.#teller.command('XADD', ...this.#wordTo('left', '1')))
    } catch {
      // They find out by its silence.
    }
  }

  tell (purge: Outgoing): void {
    this.purges.add(purge)
    this.#tellSoon()
  }

  /** Settles when all other gateways have carried out what was told until now, or after `confirmMs`. undefined: there is nobody to wait for. */
  confirmed (): Promise<void> | undefined {
    const { confirmMs } = this.#options
    return confirmMs === 0 || !this.#teller.up || !this.live ? undefined : this.others.confirmed(confirmMs)
  }

  /** After the connection that tells came up again. */
  tellWaiting (): void {
    if (this.purges.waiting > 0) this.#tellSoon()
  }

  #tellSoon (): void {
    if (this.#tellingNow || this.#telling !== undefined || !this.#teller.up || this.#closed) return
    // Never at once: all that one write purges goes together, and whoever waits for it has come.
    this.#telling = setTimeout(() => {
      this.#telling = undefined
      void this.#tell()
    }, Math.max(0, this.#toldAtMs + gatherMs - performance.now()))
  }

  async #tell (): Promise<void> {
    const { key, gateway } = this.#options
    this.#tellingNow = true
    this.#toldAtMs = performance.now()
    const confirmation = this.others.telling()
    try {
      await within(hangsAfterMs, Promise.all(this.purges.outgoing().map(async purge => {
        const id = await this.#teller.command<string>('XADD', key, 'MAXLEN', '~', String(kept), '*', 'gateway', gateway, 'purge', purgeToText(purge))
        this.purges.confirmed(purge, id)
        if (compareIds(id, this.#lastTold) > 0) this.#lastTold = id
        this.counts.told++
        this.#told.push({ purge, atMs: performance.now() })
        if (this.#told.length > mostRemembered) this.#told.shift()
      })))
      if (confirmation !== undefined) this.others.told(confirmation, this.#lastTold)
    } catch (error) {
      // The purges wait on, and go when the connection is there again; clients do not.
      this.others.giveUp(confirmation)
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
        const { key, gatewaysKey } = this.#options
        const { heard } = this.counts
        const reply = await within(hangsAfterMs, this.#link.command<Array<[string, Entry[]]> | null>('XREAD', 'COUNT', String(pageSize), 'BLOCK', String(blockMs), 'STREAMS', key, gatewaysKey, this.mark, this.#lastWord))
        for (const [stream, entries] of reply ?? []) for (const entry of entries) stream === key ? this.#take(entry) : this.#meet(entry)
        this.#heardAtMs = performance.now()
        // Carried out: whoever told it may wait for this word. It goes before the next question, which holds the connection.
        if (this.counts.heard !== heard || this.#heardAtMs - this.#announcedAtMs >= announcedEveryMs) {
          this.#announce().catch(() => {}) // The question after it fails in the same way, unless only this stream is refused: then nobody waits for this gateway.
        }
      }
    } catch (error) {
      this.#link.drop(error instanceof Error ? error.message : String(error))
    }
  }

  /** What was purged while this gateway was away, or before it was there. */
  async #catchUp (): Promise<void> {
    const { key } = this.#options
    await this.#meetAll()
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
    this.#announcedAtMs = -Infinity
  }

  /** Before anything else the others are told that this gateway is there; then it knows them, from what they said of late by the server's clock. */
  async #meetAll (): Promise<void> {
    this.#lastWord = await within(hangsAfterMs, this.#announce())
    const sinceMs = Number(this.#lastWord.split('-')[0]) - silentMs
    const words = await within(hangsAfterMs, this.#link.command<Entry[]>('XREVRANGE', this.#options.gatewaysKey, '+', `${sinceMs}-0`, 'COUNT', String(pageSize)))
    for (const word of words.reverse()) this.#meet(word)
  }

  #announce (): Promise<string> {
    this.#announcedAtMs = performance.now()
    return this.#link.command<string>('XADD', ...this.#wordTo('upTo', this.mark))
  }

  #wordTo (name: 'upTo' | 'left', value: string): string[] {
    const { gatewaysKey, gateway } = this.#options
    return [gatewaysKey, 'MAXLEN', '~', String(keptWords), '*', 'gateway', gateway, name, value]
  }

  #meet ([id, fields]: Entry): void {
    if (!isId(id)) return
    this.#lastWord = id
    const gateway = field(fields, 'gateway')
    const upTo = field(fields, 'upTo')
    if (gateway === undefined || gateway === this.#options.gateway) return
    if (upTo === undefined || !isId(upTo)) this.others.left(gateway)
    else this.others.heard(gateway, upTo)
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
    if (field(fields, 'floor') !== undefined) return this.purges.trustFrom(id)
    const purge = purgeFromText(field(fields, 'purge') ?? '')
    // What a newer version tells and this one does not know could mean anything.
    const meant = purge ?? { selector: { kind: 'all' }, soft: true } as const
    this.purges.note(meant, id)
    if (field(fields, 'gateway') === this.#options.gateway) return
    this.counts.heard++
    this.#events.heard(meant)
  }
}

const field = (fields: readonly string[], name: string): string | undefined => fields.find((_value, at) => at % 2 === 1 && fields[at - 1] === name)
