// Certificates by host name, read again when their files change; a bad new pair leaves the old one in force.
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, unwatchFile, watch, watchFile, type FSWatcher } from 'node:fs'
import { dirname } from 'node:path'
import { createSecureContext, type SecureContext, type SecureVersion } from 'node:tls'
import type { ListenerConfig } from '../config/schema.ts'
import type { Log } from '../telemetry/log.ts'

type Tls = NonNullable<ListenerConfig['tls']>
type Pair = Tls['certificates'][number]

interface Loaded {
  readonly cert: Buffer
  readonly key: Buffer
  readonly context: SecureContext
  readonly hosts: readonly string[]
  readonly digest: string
}

/** What the server needs for clients that name no host. */
export interface DefaultPair {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Files are looked at this often where the file system tells nothing (mounted secrets among them). */
const pollMs = 1_000
/** The two files of a pair are rarely replaced at one moment. */
const settleMs = 50

export class Certificates {
  readonly #log: Log
  readonly #onDefault: (pair: DefaultPair) => void
  #tls: Tls
  #loaded: Loaded[]
  /** Exact names, and `*.example.com` as `.example.com`. */
  #byName = new Map<string, SecureContext>()
  #watchers: FSWatcher[] = []
  #polled: string[] = []
  #settling: NodeJS.Timeout | undefined

  /** `onDefault` is told when the first certificate was replaced. Throws when a file cannot be read or a key does not fit. */
  constructor (tls: Tls, log: Log, onDefault: (pair: DefaultPair) => void) {
    this.#tls = tls
    this.#log = log
    this.#onDefault = onDefault
    this.#loaded = tls.certificates.map(pair => load(pair, tls.minVersion))
    this.#index()
    this.#watch()
  }

  get defaultPair (): DefaultPair { return this.#loaded[0]! }

  /** For tls: the certificate of a name, the first one where none names it. */
  readonly sniCallback = (name: string, callback: (error: Error | null, context?: SecureContext) => void): void => {
    callback(null, this.contextFor(name))
  }

  contextFor (name: string): SecureContext {
    const host = name.toLowerCase()
    const exact = this.#byName.get(host)
    if (exact !== undefined) return exact
    const dot = host.indexOf('.')
    return (dot === -1 ? undefined : this.#byName.get(host.slice(dot))) ?? this.#loaded[0]!.context
  }

  /** Reads other certificates of a new configuration. Throws like the constructor; what is returned puts them in place of the old ones. */
  prepare (certificates: Tls['certificates']): () => void {
    const loaded = certificates.map(pair => load(pair, this.#tls.minVersion))
    return () => {
      this.#unwatch()
      this.#tls = { ...this.#tls, certificates }
      this.#replace(loaded)
      this.#watch()
      // A file may have changed since it was read: nobody watched it.
      this.#soon()
    }
  }

  close (): void {
    clearTimeout(this.#settling)
    this.#unwatch()
  }

  #reload (): void {
    const loaded = this.#tls.certificates.map((pair, i) => {
      const before = this.#loaded[i]!
      try {
        const after = load(pair, this.#tls.minVersion)
        if (after.digest === before.digest) return before
        this.#log.info({ certFile: pair.certFile, hosts: after.hosts, validTo: new X509Certificate(after.cert).validTo }, 'certificate replaced')
        return after
      } catch (error) {
        this.#log.warn({ err: error, certFile: pair.certFile, keyFile: pair.keyFile }, 'new certificate is not usable, the old one stays')
        return before
      }
    })
    if (loaded.some((pair, i) => pair !== this.#loaded[i])) this.#replace(loaded)
  }

  #replace (loaded: Loaded[]): void {
    const firstChanged = loaded[0]!.digest !== this.#loaded[0]!.digest
    this.#loaded = loaded
    this.#index()
    if (firstChanged) this.#onDefault(loaded[0]!)
  }

  #index (): void {
    this.#byName = new Map()
    for (const { hosts, context } of this.#loaded) {
      for (const host of hosts) {
        const name = host.toLowerCase().replace(/^\*\./, '.')
        if (!this.#byName.has(name)) this.#byName.set(name, context)
      }
    }
  }

  readonly #soon = (): void => {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#reload(), settleMs)
    this.#settling.unref()
  }

  #watch (): void {
    this.#polled = this.#tls.certificates.flatMap(({ certFile, keyFile }) => [certFile, keyFile])
    for (const file of this.#polled) watchFile(file, { interval: pollMs, persistent: false }, this.#soon)
    for (const directory of new Set(this.#polled.map(file => dirname(file)))) {
      try {
        const watcher = watch(directory, { persistent: false }, this.#soon)
        watcher.on('error', error => this.#log.warn({ err: error, directory }, 'watching certificates by polling only'))
        this.#watchers.push(watcher)
      } catch (error) {
        this.#log.warn({ err: error, directory }, 'watching certificates by polling only')
      }
    }
  }

  #unwatch (): void {
    for (const file of this.#polled) unwatchFile(file)
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers = []
  }
}

function load ({ certFile, keyFile, hosts }: Pair, minVersion: SecureVersion): Loaded {
  const cert = readFileSync(certFile)
  const key = readFileSync(keyFile)
  const leaf = new X509Certificate(cert)
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error(`the key in ${keyFile} does not belong to the certificate in ${certFile}`)
  return {
    cert,
    key,
    context: createSecureContext({ cert, key, minVersion }),
    hosts: hosts !== undefined && hosts.length > 0 ? hosts : namesOf(leaf),
    digest: createHash('sha256').update(cert).update(key).digest('hex')
  }
}

/** DNS names of the certificate: subjectAltName, or where it has none the common name, as RFC 6125 section 6.4.4 has it. */
export function namesOf (certificate: X509Certificate): string[] {
  const names = [...(certificate.subjectAltName ?? '').matchAll(/DNS:([^,\s"]+)/g)].map(match => match[1]!)
  const common = /^CN=(.+)$/m.exec(certificate.subject)?.[1]
  return names.length > 0 || common === undefined ? names : [common]
}
