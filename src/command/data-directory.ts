// Makes the directory of what outlives a restart. I/O.
import { access, constants, mkdir } from 'node:fs/promises'

/** For the owner only. Resolves with what keeps it from being written; undefined: nothing does. */
export async function openDataDirectory (directory: string): Promise<Error | undefined> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await access(directory, constants.W_OK)
    return undefined
  } catch (error) {
    return error as Error
  }
}
