// The kinds of cases that come again and again.
import type { Answer, Case, Step } from './run-case.ts'

interface More {
  readonly status?: number
  /** Request lines of both. */
  readonly request?: readonly string[]
  readonly under?: string
  readonly after?: number
  /** What the first one sees. */
  readonly sees?: readonly string[]
  readonly then?: Partial<Step>
}

const first = (headers: readonly string[], { status = 200, request = [], sees = [] }: More): Step => ({ headers: request, answer: { status, headers }, from: 'origin', status, sees })

/** An answer with these lines is given to the next one who asks. */
export const reused = (name: string, headers: readonly string[], more: More = {}): Case => ({
  name,
  ...more.under === undefined ? {} : { under: more.under },
  steps: [first(headers, more), { headers: more.request ?? [], after: more.after ?? 2, from: 'stored', status: more.status ?? 200, ...more.then }]
})

/** It is not: the origin is asked again, for the whole. */
export const notReused = (name: string, headers: readonly string[], more: More = {}): Case => ({
  name,
  ...more.under === undefined ? {} : { under: more.under },
  steps: [first(headers, more), { headers: more.request ?? [], after: more.after ?? 2, from: 'origin', answer: { status: more.status ?? 200 }, status: more.status ?? 200, ...more.then }]
})

/** It is, once the origin has said that it still holds. */
export const revalidated = (name: string, headers: readonly string[], more: More = {}): Case => ({
  name,
  ...more.under === undefined ? {} : { under: more.under },
  steps: [first(headers, more), { headers: more.request ?? [], after: more.after ?? 2, from: 'validated', ...more.then }]
})

/** A second request by other lines. */
export const answered = (headers: readonly string[], rest: Omit<Answer, 'headers'> = {}): Step => ({ answer: { headers, ...rest }, from: 'origin', ...rest.status === undefined ? {} : { status: rest.status } })
export const fresh = 'Cache-Control: max-age=3600'
