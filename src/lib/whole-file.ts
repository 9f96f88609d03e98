// Writes a file whole or not at all: what is read back is the old text or the new one, also after a crash or on a full disk.
import { mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/** For the owner only. @throws what the file system says; the old file stays then, and nothing half-written */
export async function writeWhole (path: string, text: string | Buffer): Promise<void> {
  const directory = dirname(path)
  const temporary = `${path}.tmp`
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    // The rename itself is only safe once the directory is.
    const folder = await open(directory, 'r')
    try { await folder.sync() } finally { await folder.close() }
  } catch (error) {
    await unlink(temporary).catch(() => undefined /* it may never have been made */)
    throw error
  }
}

/**
 * What is at a path and cannot be read is not lost with the next write: it is there to be looked at under another name, the last such one. Resolves with
 * what became of it, for a line of the log; never rejects.
 */
export async function setAside (path: string): Promise<string> {
  const aside = `${path}.unreadable`
  try {
    await rename(path, aside)
    return `set aside as ${aside}`
  } catch (error) {
    return `it could not be set aside (${(error as Error).message}), and the next write replaces it`
  }
}
