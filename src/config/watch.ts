// Notices that the configuration may have changed: the file, however it is replaced, or SIGHUP. Reads nothing of it.
import { realpathSync, statSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname } from 'node:path'

export interface WatchOptions {
  /** Silence of the file before it counts as written. Milliseconds. */
  readonly settleMs?: number
  /** How often to look where the system tells of no change (network file systems). Milliseconds. */
  readonly pollMs?: number
}

export interface ConfigWatch {
  /** Watches these files too, in place of those named before: what the configuration took secrets from. */
  follow (files: readonly string[]): void
  close (): void
}

/** An empty file is mostly one about to be written: it counts after this many times the usual silence. */
const emptyPatience = 20

/**
 * Calls `onChange` after the file was written in place, replaced by a rename, or swapped behind a symbolic link (as Kubernetes does with
 * ConfigMaps), and on SIGHUP. A file that is gone is no change. Without a file only SIGHUP counts. The caller loads and decides.
 */
export function watchConfig (file: string | undefined, onChange: (why: 'file' | 'signal') => void, options: WatchOptions = {}): ConfigWatch {
  const onSignal = () => onChange('signal')
  process.on('SIGHUP', onSignal)
  const onFile = () => onChange('file')
  const watched = file === undefined ? undefined : watchFile(file, onFile, options)
  const followed = new Map<string, FileWatch>()
  const follow = (files: readonly string[]) => {
    for (const [name, one] of followed) {
      if (files.includes(name)) continue
      one.close()
      followed.delete(name)
    }
    for (const name of files) if (!followed.has(name)) followed.set(name, watchFile(name, onFile, options))
  }
  return {
    follow,
    close () {
      process.off('SIGHUP', onSignal)
      follow([])
      watched?.close()
    }
  }
}

interface FileWatch {
  close (): void
}

function watchFile (file: string, onChange: () => void, { settleMs = 100, pollMs = 5_000 }: WatchOptions): FileWatch {
  let known = fingerprint(file)
  let settling: NodeJS.Timeout | undefined
  let watcher: FSWatcher | undefined

  /** Looks until two looks agree, then tells if it is another file than before. */
  const look = (seen: string | undefined): void => {
    const now = fingerprint(file)
    if (now === undefined || now === known) return
    if (now === seen) {
      known = now
      onChange()
      return
    }
    clearTimeout(settling)
    settling = setTimeout(look, now.startsWith('0 ') ? settleMs * emptyPatience : settleMs, now)
    settling.unref()
  }
  const noticed = () => look(undefined)

  // The directory, not the file: a rename over the file would leave a watch on what was there before.
  const watchDirectory = () => {
    try {
      watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
        // A log beside the file is written to all day. `..data` is the link that Kubernetes swaps; other links are left to the poll.
        if (name === null || name === basename(file) || name.startsWith('..')) noticed()
      })
      // A directory that goes takes its watch along; the poll finds the file again.
      watcher.on('error', () => watcher?.close())
    } catch {
      // No directory or no watches left on this machine: the poll alone has to do.
      watcher = undefined
    }
  }
  watchDirectory()
  const poll = setInterval(noticed, pollMs)
  poll.unref()
  return {
    close () {
      clearTimeout(settling)
      clearInterval(poll)
      watcher?.close()
    }
  }
}

/**
 * Size first; changes when the file is written, replaced, or reached over another link. Undefined when there is none. Synchronous: from
 * the return of watchConfig on, nothing is missed; it takes microseconds, after a change and every few seconds.
 */
function fingerprint (file: string): string | undefined {
  try {
    const target = realpathSync(file)
    const { ino, size, mtimeNs, ctimeNs } = statSync(target, { bigint: true })
    return `${size} ${mtimeNs} ${ctimeNs} ${ino} ${target}`
  } catch {
    // Gone, or between two steps of being replaced.
    return undefined
  }
}
