// Opens sockets to one origin: TCP or TLS, with what is the same for all of them made once.
import net, { type LookupFunction, type OnReadOpts, type Socket } from 'node:net'
import tls, { type SecureContext } from 'node:tls'

/** PEM texts, already read. */
export interface ConnectorTls {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly serverName?: string
  readonly verify: boolean
}

/** The operating system asks whether a silent peer is still there. */
const tcpKeepAliveMs = 60_000

export class Connector {
  /** For Host: the origin's own authority. */
  readonly authority: string
  readonly secure: boolean
  readonly #host: string
  readonly #port: number
  readonly #tls: ConnectorTls | undefined
  readonly #lookup: LookupFunction | undefined
  #context: SecureContext | undefined
  /** The newest one: a handshake that resumes it costs a tenth of a full one. */
  #session: Buffer | undefined

  /** `origin`: scheme://host:port. `lookup`: where its host name leads; the system's resolver where it is left out. */
  constructor (origin: string, settings: ConnectorTls | undefined, lookup?: LookupFunction) {
    const url = new URL(origin)
    this.authority = url.host
    this.secure = url.protocol === 'https:'
    this.#host = url.hostname.replace(/^\[|\]$/g, '')
    this.#port = url.port === '' ? (this.secure ? 443 : 80) : Number(url.port)
    this.#tls = settings
    this.#lookup = lookup
  }

  /** What is read goes to `onread`; without it, it is read as any stream. The socket says `connect`, or `secureConnect` where `secure`, when it may be used. */
  open (onread?: OnReadOpts): Socket {
    const socket = this.secure ? this.#openTls(onread) : net.connect({ host: this.#host, port: this.#port, ...onread !== undefined && { onread }, ...this.#lookup !== undefined && { lookup: this.#lookup } })
    return socket.setNoDelay(true).setKeepAlive(true, tcpKeepAliveMs)
  }

  #openTls (onread: OnReadOpts | undefined): Socket {
    const { ca, cert, key, serverName, verify = true } = this.#tls ?? {}
    this.#context ??= tls.createSecureContext({ ...ca !== undefined && { ca }, ...cert !== undefined && { cert }, ...key !== undefined && { key } })
    // RFC 6066 section 3 knows no addresses as names.
    const servername = serverName ?? (net.isIP(this.#host) === 0 ? this.#host : '')
    const socket = tls.connect({
      host: this.#host,
      port: this.#port,
      servername,
      secureContext: this.#context,
      rejectUnauthorized: verify,
      // An HTTP/2 answer has no reason phrase, and that carries ServiceStack's error code.
      ALPNProtocols: ['http/1.1'],
      ...this.#session !== undefined && { session: this.#session },
      ...this.#lookup !== undefined && { lookup: this.#lookup },
      ...onread !== undefined && { onread }
    } as tls.ConnectionOptions)
    socket.on('session', session => { this.#session = session })
    return socket
  }
}
