// Where the programs of other people are, and which version of them.
import { accessSync, constants } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'

/** Absolute path of a program, looked up in PATH and the sbin directories (which a user's PATH lacks on Debian). */
export const findProgram = (name: string): string | undefined => {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return directories.map(directory => join(directory, name)).find(path => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false // Not there or not ours to run: the next directory may have it.
    }
  })
}

/** The first version number a program prints of itself. */
export const versionOf = (program: string, ...args: string[]): string => {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return /\d+(\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown'
}
