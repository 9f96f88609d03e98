// The directory of what outlives a restart: made, and kept from a second gateway. I/O.
import { access, constants, mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { Config } from '../config/schema.ts'
import { DirectoryInUse, lockDirectory, type DirectoryLock } from '../lib/directory-lock.ts'
import { CommandError } from './terminal.ts'

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

/**
 * Keeps a second gateway from it: each would overwrite what the other keeps. Resolves with the lock, or with what keeps it from being taken.
 * @throws CommandError when another gateway has it
 */
export async function takeDataDirectory ({ dataDirectory, listener }: Pick<Config, 'dataDirectory' | 'listener'>): Promise<{ readonly lock?: DirectoryLock, readonly error?: Error }> {
  if (dataDirectory === undefined) return {}
  try {
    return { lock: await lockDirectory(dataDirectory, `process ${process.pid} on ${hostname()}, listener.address ${listener.address}`) }
  } catch (error) {
    if (!(error instanceof DirectoryInUse)) return { error: error as Error }
    const who = error.holder === '' ? '' : `: ${error.holder}`
    throw new CommandError(`cannot start: dataDirectory ${dataDirectory} is in use by another gateway${who}. Write another dataDirectory for this one in postern.yaml, or none; each needs its own.`)
  }
}
