// A real Valkey server for tests: fetched by the project's own set-up script when it is not there, on a free port, ended with the test.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentFor } from '../../bench/support/binaries.ts'
import { ensurePart } from './consul.ts'
import { freePorts } from './ports.ts'
import { until } from './until.ts'

/** For node:test's `skip`; with POSTERN_PARTS=required it throws in place of skipping. */
export async function valkeySkip (): Promise<string | false> {
  if (await ensurePart('valkey') !== undefined) return false
  if (process.env.POSTERN_PARTS === 'required') throw new Error('POSTERN_PARTS=required, but valkey cannot be had')
  return 'SKIPPED: valkey cannot be had on this machine (.ci/parts valkey says why)'
}

export interface RealValkey extends AsyncDisposable {
  /** redis://127.0.0.1:PORT */
  readonly url: string
  /** Words of an inline command (none may have a space in it); the reply as it comes over the wire. */
  say (command: string): Promise<string>
  /** SIGSTOP: it keeps its connections and says nothing. */
  hang (): void
  /** SIGCONT. */
  goOn (): void
  /** SIGKILL: nothing is saved. */
  kill (): Promise<void>
  /** SIGTERM: with `keepData`, what it holds is saved. */
  stop (): Promise<void>
  /** On the same port. */
  start (): Promise<void>
}

/** Starts a server on 127.0.0.1. `keepData`: it saves what it holds when it is stopped. */
export async function startValkey ({ keepData = false, password }: { keepData?: boolean, password?: string } = {}): Promise<RealValkey> {
  const program = await ensurePart('valkey')
  if (program === undefined) throw new Error('valkey cannot be had on this machine')
  const directory = await mkdtemp(join(tmpdir(), 'postern-valkey-'))
  const [port] = await freePorts(1)
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', keepData ? '3600 1' : '', '--daemonize', 'no', ...password === undefined ? [] : ['--requirepass', password]]
  let child: ChildProcess | undefined

  const say = (command: string) => new Promise<string>((resolve, reject) => {
    const socket = connect(port!, '127.0.0.1')
    let reply = ''
    socket.setTimeout(5_000, () => socket.destroy(new Error('valkey does not answer')))
    socket.on('data', (chunk: Buffer) => { reply += chunk.toString('latin1') })
    socket.on('error', reject)
    socket.on('close', () => resolve(reply))
    socket.end(`${password === undefined ? '' : `AUTH ${password}\r\n`}${command}\r\nQUIT\r\n`)
  })
  const start = async () => {
    let said = ''
    const started = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environmentFor(program) } })
    child = started
    const note = (chunk: Buffer): void => { said = (said + chunk.toString()).slice(-4_000) }
    started.stdout.on('data', note)
    started.stderr.on('data', note)
    await until('valkey to answer', async () => {
      if (started.exitCode !== null) throw new Error(`valkey ended with ${started.exitCode}: ${said}`)
      return (await say('PING').catch(() => '')).includes('PONG')
    }, { everyMs: 20 })
  }
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = new Promise<void>(resolve => { ending.once('exit', () => resolve()) })
    ending.kill(signal)
    ending.kill('SIGCONT')
    await ended
  }
  const onExit = (): void => { child?.kill('SIGKILL') }
  process.once('exit', onExit)
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    say,
    hang: () => { child?.kill('SIGSTOP') },
    goOn: () => { child?.kill('SIGCONT') },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    start,
    async [Symbol.asyncDispose] () {
      process.removeListener('exit', onExit)
      await end('SIGKILL')
      await rm(directory, { recursive: true, force: true })
    }
  }
}
