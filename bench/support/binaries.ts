// Where the programs of other people are, and which version of them.
import { accessSync, constants, globSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where .ci/parts unpacks what the machine has not installed. */
const parts = fileURLToPath(new URL('../../.parts/', import.meta.url))

/** Absolute path of a program: in PATH, in the sbin directories (which a user's PATH lacks on Debian), or unpacked by .ci/parts. */
export const findProgram = (name: string): string | undefined => {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin', ...globSync(join(parts, '*/usr/{sbin,bin}'))]
  return directories.map(directory => join(directory, name)).find(path => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false // Not there or not ours to run: the next directory may have it.
    }
  })
}

/** What a program needs in its environment: where its libraries are, when it was only unpacked. */
export const environmentFor = (program: string): Record<string, string> => {
  if (!program.startsWith(parts)) return {}
  const root = join(parts, program.slice(parts.length).split('/')[0]!)
  return { LD_LIBRARY_PATH: globSync([join(root, 'usr/lib/*-linux-gnu*'), join(root, 'lib/*-linux-gnu*')]).join(delimiter) }
}

/** The first version number a program prints of itself. */
export const versionOf = (program: string, ...args: string[]): string => {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...environmentFor(program) } })
  return /\d+(\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown'
}
