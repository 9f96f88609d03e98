// Watches a services.yaml: every good version of it is a snapshot, a broken one changes nothing and is told with line and column.
import { watch as watchDirectory } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Registration, Watch, WatchListener, WatchState } from './registration.ts'
import { readServicesFile } from './services-file.ts'

export interface FileWatchOptions {
  /** An editor's several writes are one change. Milliseconds. */
  readonly debounceMs?: number
  /** How often it is read although nobody said it changed: some file systems tell nothing. Milliseconds. */
  readonly pollMs?: number
  readonly now?: () => number
}

const maxFileBytes = 16_777_216

/** Starts watching. The file need not exist yet; until it can be read the state says why not. */
export function watchFile (path: string, listener: WatchListener, options: FileWatchOptions = {}): Watch {
  const { debounceMs = 50, pollMs = 2_000, now = Date.now } = options
  const file = resolve(path)
  let lastText: string | undefined
  let lastError: string | undefined
  let lastGoodAt: number | undefined
  let index = 0
  let errors = 0
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined
  let reading: Promise<void> | undefined

  const tell = (error: string | undefined): void => {
    lastError = error
    const state: WatchState = { registry: 'file', ok: error === undefined, lastGoodAt, error, agent: file, errors }
    listener.state(state)
  }
  const read = async (): Promise<void> => {
    try {
      const text = await readBounded(file)
      if (closed) return
      if (text === lastText) {
        // Judged before. What was broken is so still; what was good is as fresh as this look at it.
        if (lastError === undefined) {
          lastGoodAt = now()
          tell(undefined)
        }
        return
      }
      lastText = text
      const registrations = readServicesFile(text, path)
      listener.snapshot({ registry: 'file', registrations, index: ++index, reset: false })
      lastGoodAt = now()
      tell(undefined)
    } catch (error) {
      if (closed) return
      const { code, message } = error as NodeJS.ErrnoException
      const reason = code === undefined ? message : `${path} cannot be read: ${code}`
      // What could not be read is to be judged anew when it can, even if it is what it was.
      if (code !== undefined) lastText = undefined
      errors++
      tell(reason)
    }
  }
  const readLater = (delayMs: number): void => {
    if (closed) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      reading = (reading ?? Promise.resolve()).then(read).finally(() => readLater(pollMs))
    }, delayMs)
  }
  const watchPlace = (): void => {
    try {
      // Of the folder: editors and config maps put a new file in the place of the old one.
      watcher = watchDirectory(dirname(file), { persistent: false }, () => readLater(debounceMs))
      watcher.on('error', () => watcher?.close())
    } catch (error) {
      // No watching here (no such folder, no such feature): reading now and then finds the changes too.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error
    }
  }
  watchPlace()
  readLater(0)
  return {
    async close () {
      closed = true
      clearTimeout(timer)
      watcher?.close()
      await reading
    }
  }
}

/**
 * Reads such a file once. A path is as it was written.
 * @throws ConfigError when something in it is wrong; Error with a `code` when it cannot be read
 */
export async function readServices (path: string): Promise<Registration[]> {
  return readServicesFile(await readBounded(resolve(path)), path)
}

async function readBounded (file: string): Promise<string> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    if (size > maxFileBytes) throw new Error(`${file} is larger than ${maxFileBytes} bytes`)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}
