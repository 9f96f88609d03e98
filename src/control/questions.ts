// Asks the endpoints who they are and what they list, then for their markers, and remembers what they say.
import type { Answer, Question } from '../contracts/ask.ts'
import { createAsker, type AskerSettings, type Target } from '../contracts/asker.ts'
import { createMarkerReader } from '../contracts/marker-reader.ts'
import type { Markers } from '../contracts/markers.ts'
import type { LastHeard } from '../upstream/last-heard.ts'
import { heard, isSameKnowledge, learn, learnMarkers, type Knowledge } from './knowledge.ts'
import { toMarkerTargets } from './targets.ts'

type Limits = { readonly timeoutMs: number, readonly maxAnswerBytes: number }

/** How endpoints are asked. Neither rejects. */
export interface Asking {
  readonly ask: (question: Question, limits: Limits, signal: AbortSignal, onConnect: () => void) => Promise<Answer>
  readonly askMarkers: (question: Question, limits: Limits, signal: AbortSignal) => Promise<Markers | 'later'>
  /** When calls had their last answer of these endpoints, ms since epoch; nothing of those that had none. */
  readonly lastHeard: (urls: readonly string[]) => Promise<LastHeard>
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
  /** Learns what calls have heard of those among these that listen and do not answer our questions. */
  listen (urls: Iterable<string>): Promise<void>
  configure (settings: AskerSettings & Limits): void
  close (): void
}

export function createQuestions ({ ask, askMarkers, lastHeard, knowledge, onNews, onAnswer, now, settings }: QuestionsOptions): Questions {
  let limits: Limits = settings
  const asker = createAsker({
    settings,
    ask: (question, signal, onConnect) => ask(question, limits, signal, onConnect),
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
    async listen (urls) {
      const mute = [...urls].filter(url => knowledge.get(url)?.silent?.listens === true)
      for (const [url, at] of mute.length === 0 ? [] : await lastHeard(mute)) {
        const known = knowledge.get(url)
        if (known !== undefined) knowledge.set(url, heard(known, at))
      }
    },
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
