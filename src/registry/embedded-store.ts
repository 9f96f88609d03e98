// What is registered at the embedded registry, with Consul's indexes: who waits for an index learns of the change. No I/O.
import { Refusal } from './embedded-body.ts'
import type { CheckDefinition, ServiceDefinition, Status } from './embedded-body.ts'

export interface StoredService {
  readonly definition: ServiceDefinition
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface StoredCheck {
  readonly definition: CheckDefinition
  readonly status: Status
  readonly output: string
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface StoreLimits {
  readonly services: number
  readonly checks: number
}

export interface StoreListener {
  /** A check is to be run from now on (again, if it changed), or no more. */
  checkAdded (check: CheckDefinition): void
  checkRemoved (id: string): void
  /** A check's status changed. */
  statusChanged (check: StoredCheck): void
}

/** All state of one embedded registry. One node, one datacenter. */
export class Store {
  readonly services = new Map<string, StoredService>()
  readonly checks = new Map<string, StoredCheck>()
  readonly #limits: StoreLimits
  readonly #waiting = new Set<() => void>()
  readonly #nameIndexes = new Map<string, number>()
  /** Index of the latest removal of a name's last instance: names without instances have this one. */
  #removedIndex = 1
  #index = 1
  listener: StoreListener | undefined

  constructor (limits: StoreLimits) {
    this.#limits = limits
  }

  get index (): number { return this.#index }

  /** Index of everything that concerns a service's name: what a blocking query for it compares. Never goes backwards. */
  indexOf (name: string): number {
    return this.#nameIndexes.get(name) ?? this.#removedIndex
  }

  /** Checks of a service, or those of the node for ''. In order of their ids, as Consul lists them. */
  checksOf (serviceId: string): StoredCheck[] {
    const own: StoredCheck[] = []
    for (const check of this.checks.values()) if (check.definition.serviceId === serviceId) own.push(check)
    return own.sort((a, b) => a.definition.id < b.definition.id ? -1 : 1)
  }

  /** Instances of a name, in order of their ids. */
  instancesOf (name: string): StoredService[] {
    const own: StoredService[] = []
    for (const service of this.services.values()) if (service.definition.name === name) own.push(service)
    return own.sort((a, b) => a.definition.id < b.definition.id ? -1 : 1)
  }

  /** Calls `wake` once, at the next change of anything. Returns how to stop waiting. */
  onChange (wake: () => void): () => void {
    this.#waiting.add(wake)
    return () => this.#waiting.delete(wake)
  }

  /** Throws Refusal when full. A check that is there already keeps its status, as in Consul. */
  register (definition: ServiceDefinition, checks: readonly CheckDefinition[]): void {
    const before = this.services.get(definition.id)
    if (before === undefined && this.services.size >= this.#limits.services) throw new Refusal(429, `more than ${this.#limits.services} services`)
    const fresh = checks.filter(({ id }) => !this.checks.has(id)).length
    if (this.checks.size + fresh > this.#limits.checks) throw new Refusal(429, `more than ${this.#limits.checks} checks`)
    const index = ++this.#index
    this.services.set(definition.id, { definition, createIndex: before?.createIndex ?? index, modifyIndex: index })
    if (before !== undefined && before.definition.name !== definition.name) this.#touch(before.definition.name, index)
    this.#touch(definition.name, index)
    for (const check of checks) this.#putCheck(check, index)
    this.#wake()
  }

  /** Unknown ids are no error, as in Consul. */
  deregister (id: string): void {
    const service = this.services.get(id)
    if (service === undefined) return
    this.services.delete(id)
    for (const check of this.checksOf(id)) {
      this.checks.delete(check.definition.id)
      this.listener?.checkRemoved(check.definition.id)
    }
    this.#touch(service.definition.name, ++this.#index)
    this.#wake()
  }

  /** Throws Refusal when its service is not there, or when full. */
  registerCheck (check: CheckDefinition): void {
    if (check.serviceId !== '' && !this.services.has(check.serviceId)) throw new Refusal(500, `ServiceID ${JSON.stringify(check.serviceId)} does not exist`)
    if (!this.checks.has(check.id) && this.checks.size >= this.#limits.checks) throw new Refusal(429, `more than ${this.#limits.checks} checks`)
    const index = ++this.#index
    this.#putCheck(check, index)
    this.#touchService(check.serviceId, index)
    this.#wake()
  }

  deregisterCheck (id: string): void {
    const check = this.checks.get(id)
    if (check === undefined) return
    this.checks.delete(id)
    this.listener?.checkRemoved(id)
    this.#touchService(check.definition.serviceId, ++this.#index)
    this.#wake()
  }

  /**
   * What a run of a check found. A change of status, and the first output ever, raises the index; another text alone does not, as it would
   * wake every watcher at every run.
   */
  setStatus (id: string, status: Status, output: string): void {
    const before = this.checks.get(id)
    if (before === undefined) return
    const told = before.status !== status || (before.output === '' && output !== '')
    const index = told ? ++this.#index : before.modifyIndex
    const after = { ...before, status, output, modifyIndex: index }
    this.checks.set(id, after)
    if (before.status !== status) this.listener?.statusChanged(after)
    if (!told) return
    this.#touchService(before.definition.serviceId, index)
    this.#wake()
  }

  #putCheck (definition: CheckDefinition, index: number): void {
    const before = this.checks.get(definition.id)
    const check: StoredCheck = {
      definition,
      status: before?.status ?? definition.status,
      output: before?.output ?? '',
      createIndex: before?.createIndex ?? index,
      modifyIndex: index
    }
    this.checks.set(definition.id, check)
    this.listener?.checkAdded(definition)
    if (before === undefined) this.listener?.statusChanged(check)
    // A check that moves to another service changes both.
    if (before !== undefined && before.definition.serviceId !== definition.serviceId) this.#touchService(before.definition.serviceId, index)
  }

  #touchService (serviceId: string, index: number): void {
    if (serviceId === '') for (const name of this.#nameIndexes.keys()) this.#nameIndexes.set(name, index)
    else {
      const service = this.services.get(serviceId)
      if (service !== undefined) this.#touch(service.definition.name, index)
    }
  }

  #touch (name: string, index: number): void {
    if (this.instancesOf(name).length > 0) this.#nameIndexes.set(name, index)
    else {
      this.#nameIndexes.delete(name)
      this.#removedIndex = index
    }
  }

  #wake (): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}
