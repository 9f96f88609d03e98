// The stage of a measurement: a temporary directory and the processes started in it. Whatever happens, all of it is gone at the end.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, openSync, closeSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentFor } from './binaries.ts'

export interface RunningProcess {
  readonly name: string
  readonly pid: number
  /** What to say about a process that ended although nobody asked it to; undefined while it runs. */
  readonly ended: string | undefined
  /** Everything it wrote to stdout, unless that goes to a file; bounded to the last 64 KB. */
  readonly output: string
  /** Resolves with the exit code (-1 when a signal ended it). */
  readonly exit: Promise<number>
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>
  /** File that stdout is appended to. */
  readonly stdoutFile?: string
}

export interface Stage {
  readonly directory: string
  /** Starts a process in a group of its own, so that its children end with it. */
  start (name: string, command: string, args: readonly string[], options?: StartOptions): RunningProcess
  close (): Promise<void>
}

const keptOutput = 65_536

/** Ends a process and its children at once: nothing that runs here has anything to finish. */
const killGroup = (child: ChildProcess): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Opens a stage. It is also cleared when this process exits early: by an error, or by Ctrl-C once `exitOnSignals` was called. */
export const openStage = (): Stage => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const running = new Set<ChildProcess>()
  const clear = () => {
    running.forEach(killGroup)
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  }
  process.on('exit', clear)

  const start = (name: string, command: string, args: readonly string[], options: StartOptions = {}): RunningProcess => {
    const file = options.stdoutFile === undefined ? undefined : openSync(options.stdoutFile, 'a')
    const child = spawn(command, args, {
      detached: true,
      cwd: directory,
      stdio: ['ignore', file ?? 'pipe', 'pipe'],
      env: { ...process.env, XDG_STATE_HOME: directory, ...environmentFor(command), ...options.environment }
    })
    if (file !== undefined) closeSync(file)
    running.add(child)
    let output = ''
    let complaints = ''
    let ended: string | undefined
    child.stdout?.setEncoding('utf8').on('data', (text: string) => { output = (output + text).slice(-keptOutput) })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { complaints = (complaints + text).slice(-2_000) })
    const exit = new Promise<number>(resolve => {
      child.once('error', error => {
        running.delete(child)
        ended = `${name} could not be started: ${error.message}`
        resolve(-1)
      })
      child.once('close', (code, signal) => {
        running.delete(child)
        ended = `${name} ended with ${signal ?? `exit code ${code}`}. ${complaints}`
        resolve(code ?? -1)
      })
    })
    return {
      name,
      pid: child.pid ?? -1,
      exit,
      get ended () { return ended },
      get output () { return output }
    }
  }

  const close = async () => {
    await Promise.all([...running].map(child => {
      const gone = once(child, 'close')
      killGroup(child)
      return gone
    }))
    process.off('exit', clear)
    clear()
  }
  return { directory, start, close }
}

/** Makes Ctrl-C and kill end this process by way of `exit`, so that stages are cleared. */
export const exitOnSignals = (): void => {
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
    process.once(signal, () => {
      process.stderr.write(`Stopped by ${signal}.\n`)
      process.exit(code)
    })
  }
}
