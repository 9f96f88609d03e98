// Asks the endpoints who they are and what they list, then for their markers, and remembers what they say.
import type { Answer, Question } from '../contracts/ask.ts'
import { createAsker, type AskerSettings, type Target } from '../contracts/asker.ts'
import { createMarkerReader } from '../contracts/marker-reader.ts'
import type { Markers } from '../contracts/markers.ts'
import { isSameKnowledge, learn, learnMarkers, type Knowledge } from './knowledge.ts'
import { toMarkerTargets } from './targets.ts'

type Limits = { readonly timeoutMs: number, readonly maxAnswerBytes: number }

/** How endpoints are asked. Neither rejects. */
export interface Asking {
  readonly ask: (question: Question, limits: Limits, signal: AbortSignal) => Promise<Answer>
  readonly askMarkers: (question: Question, limits: Limits, signal: AbortSignal) => Promise<Markers | 'later'>
}

export interface QuestionsOptions extends Asking {
  readonly settings: AskerSettings & Limits
  /** What is learnt is written here. */
  readonly knowledge: Map<string, Knowledge>
  /** Something may have to be decided anew. */
  readonly onNews: () => void
  /** An endpoint was asked, with news or without, and is not asked again already; `said`: somebody answered. Told after the news. */
  readonly onAnswer: (url: string, said: boolean) => void
  /** ms since epoch. */
  readonly now: () => number
}

export interface Questions {
  /** The whole set of endpoints to ask. */
  update (targets: readonly Target[]): void
  /** See asker.ts. */
  recheck (url: string, always: boolean): boolean
  configure (settings: AskerSettings & Limits): void
  close (): void
}

export function createQuestions ({ ask, askMarkers, knowledge, onNews, onAnswer, now, settings }: QuestionsOptions): Questions {
  let limits: Limits = settings
  const asker = createAsker({
    settings,
    ask: (question, signal) => ask(question, limits, signal),
    onAnswer: (url, answer, key, again) => {
      const before = knowledge.get(url)
      const after = learn(before, answer, key, now())
      knowledge.set(url, after)
      if (!isSameKnowledge(before, after)) onNews()
      if (!again) onAnswer(url, answer.kind === 'answered' || answer.reached)
    }
  })
  const markers = createMarkerReader({
    read: (question, signal) => askMarkers(question, limits, signal),
    onMarkers: (url, read) => { if (learnMarkers(knowledge, url, read)) onNews() }
  })
  return {
    update (targets) {
      asker.update(targets)
      markers.want(toMarkerTargets(targets, knowledge))
    },
    recheck: (url, always) => asker.recheck(url, always),
    configure (next) {
      limits = next
      asker.configure(next)
    },
    close () {
      asker.close()
      markers.close()
    }
  }
}
