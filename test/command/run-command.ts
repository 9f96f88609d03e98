// Runs the command: in this process for what only prints, as a child process for what lives on.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { runCommand } from '../../src/command/cli.ts'

export const root = join(import.meta.dirname, '../..')

export interface Ended { readonly code: number, readonly out: string, readonly err: string }

/** The command in this process, on a screen of `columns`. */
export async function runHere (args: string[], screen: { columns?: number, colours?: boolean } = {}): Promise<Ended> {
  let out = ''
  let err = ''
  const code = await runCommand(args, {
    out: text => { out += text },
    err: text => { err += text },
    columns: screen.columns,
    colours: screen.colours ?? false,
    exit: () => { throw new Error('only a second signal ends at once') }
  })
  return { code, out, err }
}

export interface Child extends AsyncDisposable {
  readonly process: ChildProcess
  readonly out: () => string
  readonly err: () => string
  /** The code it ends with; the signal's name where one ended it. */
  readonly ended: Promise<number | string>
}

/** The command as its users run it. */
export function startChild (args: string[], options: { cwd?: string, node?: string, script?: string, env?: NodeJS.ProcessEnv } = {}): Child {
  const child = spawn(options.node ?? process.execPath, [options.script ?? join(root, 'src/main.ts'), ...args], {
    cwd: options.cwd ?? root,
    // A port of its own must not make it write where users keep theirs.
    env: options.env ?? { ...process.env, XDG_STATE_HOME: options.cwd ?? '/dev/null' },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { err += text })
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  return {
    process: child,
    out: () => out,
    err: () => err,
    ended,
    async [Symbol.asyncDispose] () {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    }
  }
}
