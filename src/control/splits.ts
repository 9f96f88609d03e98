// What the splits of postern.yaml ask of the control plane: labels of endpoints, and other services that share a name. Pure.
import type { Config } from '../config/schema.ts'
import type { Registration } from '../registry/registration.ts'

type Parts = ReadonlyArray<Config['defaults']['policy']['split']['parts'][number]>

const noUpstreams: ReadonlySet<string> = new Set()
const noLabels: readonly string[] = []

export class Splits {
  readonly #tags = new Set<string>()
  readonly #meta = new Set<string>()
  readonly #everywhere: ReadonlySet<string>
  readonly #byUpstream = new Map<string, ReadonlySet<string>>()
  readonly #byMessage = new Map<string, ReadonlySet<string>>()

  constructor ({ defaults, upstreams, messages, prefixes = {} }: Pick<Config, 'defaults' | 'upstreams' | 'messages'> & Partial<Pick<Config, 'prefixes'>>) {
    this.#everywhere = this.#read(defaults.policy.split.parts) ?? noUpstreams
    for (const [name, { policy }] of Object.entries(upstreams)) this.#note(this.#byUpstream, name, policy?.split?.parts)
    for (const [name, { policy }] of Object.entries(messages)) this.#note(this.#byMessage, name.toLowerCase(), policy?.split?.parts)
    for (const { policy } of Object.values(prefixes)) this.#read(policy?.split?.parts)
  }

  /** Whether a part of a message's calls goes from its owner to this other upstream: a message's split stands in place of its upstream's. */
  shares (key: string, owner: string, other: string): boolean {
    return (this.#byMessage.get(key) ?? this.#byUpstream.get(owner) ?? this.#everywhere).has(other)
  }

  /** Those of a registration's tags and Meta that some part names. */
  labelsOf ({ tags, meta }: Registration): readonly string[] {
    if (this.#tags.size === 0 && this.#meta.size === 0) return noLabels
    return [
      ...tags.filter(tag => this.#tags.has(tag)).map(tag => `tag:${tag}`),
      ...Object.entries(meta).filter(([key]) => this.#meta.has(key)).map(([key, value]) => `meta:${key}=${value}`)
    ]
  }

  #note (map: Map<string, ReadonlySet<string>>, name: string, parts: Parts | undefined): void {
    const read = this.#read(parts)
    if (read !== undefined) map.set(name, read)
  }

  /** The other upstreams that these parts name; undefined where nothing is said. */
  #read (parts: Parts | undefined): ReadonlySet<string> | undefined {
    if (parts === undefined) return undefined
    const upstreams = new Set<string>()
    for (const { to } of parts) {
      if (to.tag !== undefined) this.#tags.add(to.tag)
      for (const key of Object.keys(to.meta ?? {})) this.#meta.add(key)
      if (to.upstream !== undefined) upstreams.add(to.upstream)
    }
    return upstreams
  }
}
