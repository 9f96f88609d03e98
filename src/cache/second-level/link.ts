// One connection to the server of the second level: made anew for as long as it takes, and no command waits while there is none.
import type { TypeMapping } from '@redis/client'

export interface LinkOptions {
  /** redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE], or rediss:// for TLS. */
  readonly url: string
  readonly password?: string | undefined
}

export interface LinkEvents {
  /** Connected, and it answered. */
  up (): void
  /** It was up and is not, or could not be reached (told once until it is up again). */
  down (reason: string): void
}

/** What is used of the library's client: plain commands and what they are answered, whatever its version calls them. */
interface Client {
  connect (): Promise<unknown>
  destroy (): void
  sendCommand<T> (args: ReadonlyArray<string | Buffer>, options?: { readonly typeMapping?: TypeMapping }): Promise<T>
  on (event: 'error', listener: (error: Error) => void): unknown
}

const connectTimeoutMs = 2_000
const firstRetryMs = 100
const longestRetryMs = 2_000

export class Link {
  readonly #options: LinkOptions
  readonly #events: LinkEvents
  #client: Client | undefined
  #connecting: Client | undefined
  #timer: NodeJS.Timeout | undefined
  #retryMs = firstRetryMs
  #closed = false
  #toldDown = false
  #bufferMapping: TypeMapping = {}

  constructor (options: LinkOptions, events: LinkEvents) {
    this.#options = options
    this.#events = events
  }

  get up (): boolean { return this.#client !== undefined }

  start (): void {
    void this.#connect()
  }

  /** Rejects at once while there is no connection. Replies in the types of RESP 2: text, number, list, null. */
  command<T> (...args: Array<string | Buffer>): Promise<T> {
    return this.#client?.sendCommand<T>(args) ?? Promise.reject(new Error('not connected'))
  }

  /** The same, with bytes in place of text. */
  commandForBytes<T> (...args: Array<string | Buffer>): Promise<T> {
    return this.#client?.sendCommand<T>(args, { typeMapping: this.#bufferMapping }) ?? Promise.reject(new Error('not connected'))
  }

  /** It hangs: a new connection in its place. What was asked of the old one fails. */
  drop (reason: string): void {
    if (this.#client !== undefined) this.#lost(this.#client, reason)
  }

  close (): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#connecting?.destroy()
    this.#client?.destroy()
    this.#client = undefined
  }

  async #connect (): Promise<void> {
    let client: Client
    try {
      client = await this.#makeClient()
    } catch (error) {
      // The package is not there, or refuses the URL.
      this.#failed(error instanceof Error ? error.message : String(error))
      return
    }
    if (this.#closed) return
    this.#connecting = client
    client.on('error', (error: Error) => this.#lost(client, error.message))
    const tooLong = setTimeout(() => this.#lost(client, 'does not answer'), connectTimeoutMs)
    try {
      await client.connect()
      // A process that hangs still has its connections accepted.
      await client.sendCommand(['PING'])
    } catch (error) {
      this.#lost(client, error instanceof Error ? error.message : String(error))
      return
    } finally {
      clearTimeout(tooLong)
    }
    if (this.#connecting !== client || this.#closed) return
    this.#connecting = undefined
    this.#client = client
    this.#retryMs = firstRetryMs
    this.#toldDown = false
    this.#events.up()
  }

  /** Loaded only where there is a second level. */
  async #makeClient (): Promise<Client> {
    const { createClient, RESP_TYPES } = await import('@redis/client')
    this.#bufferMapping = { [RESP_TYPES.BLOB_STRING]: Buffer }
    const { url, password } = this.#options
    return createClient({
      url,
      ...password === undefined ? {} : { password },
      RESP: 2,
      disableOfflineQueue: true,
      disableClientInfo: true,
      // Connecting again is done here, where it is known what to catch up with.
      socket: { connectTimeout: connectTimeoutMs, reconnectStrategy: false }
    })
  }

  #lost (client: Client, reason: string): void {
    if (client !== this.#client && client !== this.#connecting) return
    this.#client = undefined
    this.#connecting = undefined
    client.destroy()
    this.#failed(reason)
  }

  #failed (reason: string): void {
    if (this.#closed) return
    if (!this.#toldDown) {
      this.#toldDown = true
      this.#events.down(reason)
    }
    clearTimeout(this.#timer)
    // Not all gateways at the same moment.
    this.#timer = setTimeout(() => { void this.#connect() }, this.#retryMs * (0.5 + Math.random() / 2)).unref()
    this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs)
  }
}

/** Rejects after so long; what is asked goes on, and what becomes of it is nobody's concern. Milliseconds. */
export function within<T> (limitMs: number, asked: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimedOut()), limitMs)
    asked.then(value => {
      clearTimeout(timer)
      resolve(value)
    }, (error: unknown) => {
      clearTimeout(timer)
      reject(error)
    })
  })
}

export class TimedOut extends Error {
  override readonly message = 'does not answer'
}
