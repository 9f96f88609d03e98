// Which endpoints get the calls of which messages of one upstream, by health and by what each endpoint has. Pure.
import type { EndpointPlan, UpstreamPlan } from '../routing/plan.ts'
import { pickTier, toEndpointPlan, toLevelPlans, type ChoiceRules, type UpstreamView } from './claims.ts'
import type { Verdict } from './endpoints.ts'
import { isUnread } from './knowledge.ts'

/** Its registration says so, or the host itself: by its version, or by the list that only such hosts publish. */
const isServiceStack = ({ registration, knowledge }: Verdict): boolean => registration.kind !== 'plain' || knowledge?.servicestackVersion !== undefined || knowledge?.listed?.state === 'read'

/** Whether it has told all that it has: messages, and the RESTful paths that lead to them. */
const isTold = ({ knowledge }: Verdict): boolean => knowledge?.listed?.state === 'read' && !knowledge.listed.list.isCut

/** It has not said what it is: it has not answered, or only failed when asked for its list. */
const isUnheard = ({ knowledge }: Verdict): boolean => knowledge?.answeredAt === undefined || knowledge.listed?.state === 'unread'

/** What postern.yaml says of an upstream. */
export interface SaidOfUpstream {
  readonly trustTags: boolean
  /** What its endpoints are; it counts until they have shown that they are ServiceStack hosts. */
  readonly servicestack: boolean | undefined
}

/** Chooses endpoints for sets of offer groups: messages with the same groups share one choice. */
export class Choices {
  readonly #view: UpstreamView
  readonly #rules: ChoiceRules
  readonly #byGroups = new Map<string, readonly Verdict[]>()
  readonly base: readonly Verdict[]
  /** As in UpstreamPlan. */
  readonly servicestack: boolean | undefined
  readonly lists: UpstreamPlan['lists']
  /** Of `base`. */
  readonly #baseUrls: ReadonlySet<string>
  readonly #chosen = new Set<Verdict>()
  readonly #byUrl = new Map<string, EndpointPlan>()
  readonly #urls = new Map<readonly Verdict[], readonly string[] | undefined>()

  constructor (view: UpstreamView, rules: ChoiceRules, said: SaidOfUpstream) {
    this.#view = view
    this.#rules = rules
    const best = pickTier(view.verdicts, rules)
    const speaking = view.verdicts.filter(({ speaks }) => speaks)
    const isUnknown = best.length > 0 && speaking.every(isUnheard)
    this.servicestack = speaking.some(isServiceStack) || (said.servicestack ?? (isUnknown ? undefined : false))
    // What one host has told of its paths says nothing of another's: while they differ, those get what has no endpoints of its own that have told theirs.
    const told = this.servicestack === true && !said.trustTags ? best.filter(isTold) : []
    this.base = this.#take(told.length > 0 ? told : best)
    this.lists = listsOf(this.base, said.trustTags)
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

  /** Whether nothing can be sent there, well as it may be: nobody knows yet what may be called of it. */
  isUntold (verdict: Verdict): boolean {
    return isServiceStack(verdict) && isUnread(verdict.knowledge) && (this.lists === 'unread' || !this.#baseUrls.has(verdict.url))
  }

  upstreamPlan (): UpstreamPlan {
    const { servicestack, lists } = this
    const endpoints = [...this.#byUrl.values()].sort((a, b) => a.url < b.url ? -1 : 1)
    const apiForm = servicestack !== true || (endpoints.length > 0 && [...this.#chosen].every(({ knowledge }) => knowledge?.apiForm === true))
    return { name: this.#view.name, endpoints, base: this.urls(this.base), levels: toLevelPlans(this.#view.verdicts, this.#rules.locate), apiForm, servicestack, lists }
  }
}

/** An upstream without a base is nobody's to reach, so nothing of it need be known. */
function listsOf (base: readonly Verdict[], trustTags: boolean): UpstreamPlan['lists'] {
  if (base.length === 0 || base.some(isTold)) return 'read'
  return base.some(({ knowledge }) => isUnread(knowledge)) ? 'unread' : trustTags ? 'read' : 'none'
}
