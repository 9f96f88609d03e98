// Which endpoints get the calls of which messages of one upstream, by health and by what each endpoint has. Pure.
import type { EndpointPlan, UpstreamPlan } from '../routing/plan.ts'
import { pickTier, toEndpointPlan, toLevelPlans, type ChoiceRules, type UpstreamView } from './claims.ts'
import type { Verdict } from './endpoints.ts'

/** Its registration says so, or the host itself: by its version, or by the list that only such hosts publish. */
const isServiceStack = ({ registration, knowledge }: Verdict): boolean => registration.kind !== 'plain' || knowledge?.servicestackVersion !== undefined || knowledge?.listed?.state === 'read'

/** Chooses endpoints for sets of offer groups: messages with the same groups share one choice. */
export class Choices {
  readonly #view: UpstreamView
  readonly #rules: ChoiceRules
  readonly #byGroups = new Map<string, readonly Verdict[]>()
  readonly base: readonly Verdict[]
  /** Of `base`. */
  readonly #baseUrls: ReadonlySet<string>
  readonly #chosen = new Set<Verdict>()
  readonly #byUrl = new Map<string, EndpointPlan>()
  readonly #urls = new Map<readonly Verdict[], readonly string[] | undefined>()

  constructor (view: UpstreamView, rules: ChoiceRules) {
    this.#view = view
    this.#rules = rules
    this.base = this.#take(pickTier(view.verdicts, rules))
    this.#baseUrls = new Set(this.base.map(({ url }) => url))
  }

  #take (verdicts: readonly Verdict[]): readonly Verdict[] {
    for (const verdict of verdicts) {
      this.#chosen.add(verdict)
      const plan = this.#byUrl.has(verdict.url) ? undefined : toEndpointPlan(verdict, this.#rules)
      if (plan !== undefined) this.#byUrl.set(plan.url, plan)
    }
    return verdicts
  }

  ofGroups (groups: readonly number[]): readonly Verdict[] {
    const signature = groups.join(' ')
    const known = this.#byGroups.get(signature)
    if (known !== undefined) return known
    const chosen = this.of(groups.flatMap(index => this.#view.groups[index]?.verdicts ?? []))
    this.#byGroups.set(signature, chosen)
    return chosen
  }

  of (verdicts: readonly Verdict[]): readonly Verdict[] {
    return this.#take(pickTier(verdicts, this.#rules))
  }

  /** After all choices are made: undefined when the choice is all endpoints of the upstream, and they are its base. */
  urls (choice: readonly Verdict[]): readonly string[] | undefined {
    if (this.#urls.has(choice)) return this.#urls.get(choice)
    const urls = [...new Set(choice.map(verdict => verdict.url))]
    const result = urls.length === this.#byUrl.size && this.#baseUrls.size === urls.length ? undefined : urls.sort()
    this.#urls.set(choice, result)
    return result
  }

  has (verdict: Verdict): boolean { return this.#chosen.has(verdict) }

  /** Whether it gets only messages that no better endpoint of the upstream has. */
  isLastFor (verdict: Verdict): boolean { return this.#chosen.has(verdict) && !this.#baseUrls.has(verdict.url) }

  /** An upstream without a base is nobody's to reach, so nothing of it need be known. */
  #lists (trustTags: boolean): UpstreamPlan['lists'] {
    const states = new Set(this.base.map(({ knowledge }) => knowledge?.listed?.state ?? 'unread'))
    if (states.has('read') || states.size === 0) return 'read'
    return states.has('unread') ? 'unread' : trustTags ? 'read' : 'none'
  }

  /** `said`: what postern.yaml says that its endpoints are; it counts until they have shown that they are ServiceStack hosts. */
  upstreamPlan (trustTags: boolean, said: boolean | undefined): UpstreamPlan {
    const verdicts = this.#view.verdicts.filter(verdict => verdict.speaks)
    const isUnknown = this.base.length > 0 && verdicts.every(({ knowledge }) => knowledge?.answeredAt === undefined)
    const servicestack = verdicts.some(isServiceStack) || (said ?? (isUnknown ? undefined : false))
    const endpoints = [...this.#byUrl.values()].sort((a, b) => a.url < b.url ? -1 : 1)
    const apiForm = servicestack !== true || (endpoints.length > 0 && [...this.#chosen].every(({ knowledge }) => knowledge?.apiForm === true))
    return { name: this.#view.name, endpoints, base: this.urls(this.base), levels: toLevelPlans(this.#view.verdicts, this.#rules.locate), apiForm, servicestack, lists: this.#lists(trustTags) }
  }
}
