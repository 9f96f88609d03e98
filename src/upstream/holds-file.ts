// The holds of operators on disk, so that they survive a restart. I/O; what it holds is decided by the text's two functions, which are pure.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setAside, writeWhole } from '../lib/whole-file.ts'
import { mostHolds, type Hold } from './holds.ts'

const version = 1
const fileName = 'breaker-holds.json'
/** 1,000 holds with long reasons are less. */
const mostBytes = 4_194_304

export const serializeHolds = (holds: readonly Hold[]): string => `${JSON.stringify({ version, holds }, undefined, 1)}\n`

const isText = (value: unknown): value is string => typeof value === 'string'

/**
 * Those that are not over yet.
 * @throws Error when it is not such a file
 */
export function parseHolds (text: string, now: number): Hold[] {
  const value = JSON.parse(text) as { version?: unknown, holds?: unknown } | null
  if (value?.version !== version || !Array.isArray(value.holds)) throw new Error(`it is no file of holds of version ${version}`)
  return value.holds.slice(0, mostHolds).map((one: unknown) => {
    const { upstream, message, endpoint, held, reason, by, since, until } = (one ?? {}) as Record<string, unknown>
    if (!isText(upstream) || !isText(reason) || !isText(by) || (held !== 'open' && held !== 'closed') || typeof since !== 'number') throw new Error('one of its holds cannot be read')
    return { upstream, message: isText(message) ? message : undefined, endpoint: isText(endpoint) ? endpoint : undefined, held, reason, by, since, until: typeof until === 'number' ? until : undefined } satisfies Hold
  }).filter(({ until }) => until === undefined || until > now)
}

export interface HoldsFile {
  /** What was held; empty where there is no file. One that cannot be read is reported and set aside. */
  load (): Promise<readonly Hold[]>
  /** Writes soon, the last state when several come at once. Never rejects: what cannot be written is reported, and holds all the same. */
  save (holds: () => readonly Hold[]): void
  /** Settles when what was to be saved is; whether it could be. */
  written (): Promise<boolean>
}

/** `directory` undefined: nothing is kept. */
export function createHoldsFile (directory: string | undefined, onProblem: (problem: string, error: Error) => void): HoldsFile {
  if (directory === undefined) return { load: () => Promise.resolve([]), save () {}, written: () => Promise.resolve(false) }
  const path = join(directory, fileName)
  let writing = Promise.resolve(true)
  let isDue = false
  return {
    async load () {
      try {
        if ((await stat(path)).size > mostBytes) throw new Error(`it is longer than ${mostBytes} bytes`)
        return parseHolds(await readFile(path, 'utf8'), Date.now())
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onProblem(`what operators hold open or closed cannot be read and is ignored: ${await setAside(path)}`, error as Error)
        return []
      }
    },
    save (holds) {
      if (isDue) return
      isDue = true
      writing = writing.then(async () => {
        isDue = false
        await writeWhole(path, serializeHolds(holds()))
        return true
      }).catch((error: unknown) => {
        onProblem('what operators hold open or closed could not be kept: it is lost with a restart', error as Error)
        return false
      })
    },
    written: () => writing
  }
}
