// Which stored answers are asked for again ahead of their end. Pure.
import type { CacheConfig } from './rules.ts'
import type { Stored } from './stored.ts'

/** Whether it is popular and near its end: then it is asked for once more before that. */
export function isDue (stored: Stored, nowMs: number, { percent, minHits }: CacheConfig['refreshAhead']): boolean {
  if (percent === 0 || stored.refreshed || stored.hits < minHits) return false
  const { terms: { freshUntilMs }, head: { responseAtMs } } = stored
  return freshUntilMs - nowMs <= (freshUntilMs - responseAtMs) * percent / 100
}
