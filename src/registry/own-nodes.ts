// Which nodes of a Consul catalog are this machine: what agents here say, kept until they say otherwise, whichever agent answers meanwhile.
import { networkInterfaces } from 'node:os'

/** `datacenter` undefined: not known, so any. */
export interface NodeName { readonly node: string, readonly datacenter: string | undefined }

/** Node as an agent on this machine named it, or as it was guessed. */
export type SaidNode = readonly [agent: string, name: NodeName]

/**
 * A machine does not become another one because a connection breaks, a question fails or the next agent answers. Two agents here may name
 * different nodes (a tunnel to one elsewhere looks as if it stood here): each one's word counts.
 */
export class OwnNodes {
  readonly #said: Map<string, NodeName>
  readonly #guessed = new Map<string, NodeName>()
  /** Moves whenever registrations have to be judged anew. */
  changes = 0

  constructor (said: Iterable<SaidNode> = []) { this.#said = new Map(said) }

  /** Whether this agent has told its node at some time. */
  knows (agent: string): boolean { return this.#said.has(agent) }

  /** An agent on this machine says which node is its own. Those no longer among the configured `agents` have no word any more. */
  told (agent: string, name: NodeName, agents: readonly string[]): void {
    this.#guessed.delete(agent)
    this.#only(agents, this.#said, this.#guessed)
    this.#set(this.#said, agent, name)
  }

  /** Where an agent on this machine does not tell: the node that it lists under an address of this machine. */
  guess (agent: string, entries: readonly unknown[], agents: readonly string[]): void {
    const name = nodeAtOurAddress(entries)
    if (name === undefined || this.knows(agent)) return
    this.#only(agents, this.#guessed)
    this.#set(this.#guessed, agent, name)
  }

  has (node: string, datacenter: string | undefined): boolean {
    const isIt = (own: NodeName): boolean => own.node === node && (own.datacenter === undefined || datacenter === undefined || own.datacenter === datacenter)
    return this.#said.values().some(isIt) || this.#guessed.values().some(isIt)
  }

  /** For the disk. */
  get said (): SaidNode[] { return [...this.#said] }

  #only (agents: readonly string[], ...all: ReadonlyArray<Map<string, NodeName>>): void {
    for (const names of all) {
      for (const agent of names.keys()) if (!agents.includes(agent) && names.delete(agent)) this.changes++
    }
  }

  #set (names: Map<string, NodeName>, agent: string, name: NodeName): void {
    const before = names.get(agent)
    names.set(agent, name)
    if (before?.node !== name.node || before.datacenter !== name.datacenter) this.changes++
  }
}

function nodeAtOurAddress (entries: readonly unknown[]): NodeName | undefined {
  const ours = new Set(Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []))
  for (const entry of entries) {
    const node = (entry as { Node?: { Node?: unknown, Address?: unknown, Datacenter?: unknown } } | null)?.Node
    if (typeof node?.Node !== 'string' || typeof node.Address !== 'string' || !ours.has(node.Address)) continue
    return { node: node.Node, datacenter: typeof node.Datacenter === 'string' ? node.Datacenter : undefined }
  }
  return undefined
}
