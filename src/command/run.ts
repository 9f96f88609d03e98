// A gateway's life in a process: started, kept until a signal, drained. Fatal errors are logged before they end it.
import type { Config } from '../config/schema.ts'
import type { Gateway } from '../gateway.ts'
import { CommandError, exitCodes, type Terminal } from './terminal.ts'

export interface Running {
  readonly gateway: Gateway
  /** Ends what belongs to the gateway, before it drains. */
  close (): Promise<void> | void
}

/** A terminal's Ctrl-C reaches every process of the group, and launchers and npm pass it on as well: that is one signal, not two. Milliseconds. */
const sameSignalMs = 500

/** Runs until SIGTERM or SIGINT; resolves with the exit code when everything in flight is finished. */
export async function runUntilStopped (terminal: Terminal, begin: () => Promise<Running>): Promise<number> {
  const signals = ['SIGTERM', 'SIGINT'] as const
  const stop = Promise.withResolvers<void>()
  let stoppingSinceMs: number | undefined
  const onSignal = () => {
    if (stoppingSinceMs !== undefined && performance.now() - stoppingSinceMs > sameSignalMs) terminal.exit(exitCodes.failed)
    stoppingSinceMs ??= performance.now()
    stop.resolve()
  }
  let running: Running | undefined
  const onFatal = (error: unknown, origin: string) => {
    // State is unknown from here on: say so and end, whatever is in flight.
    void report(running?.gateway, error, origin, terminal).finally(() => terminal.exit(exitCodes.failed))
  }
  for (const signal of signals) process.on(signal, onSignal)
  process.on('uncaughtException', onFatal)
  process.on('unhandledRejection', onUnhandled)
  function onUnhandled (reason: unknown) { onFatal(reason, 'unhandledRejection') }
  try {
    // A signal while starting: what has been started is closed again.
    running = await begin()
    await stop.promise
    await running.close()
    await running.gateway.drain()
    return exitCodes.ok
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
    process.off('uncaughtException', onFatal)
    process.off('unhandledRejection', onUnhandled)
  }
}

async function report (gateway: Gateway | undefined, error: unknown, origin: string, terminal: Terminal): Promise<void> {
  if (gateway === undefined) {
    terminal.err(`postern: ${error instanceof Error ? error.stack ?? error.message : String(error)}\n`)
    return
  }
  gateway.log.fatal({ err: error, origin }, 'unexpected error; postern ends')
  const patience = new Promise<void>(resolve => { setTimeout(resolve, 1_000).unref() })
  await Promise.race([gateway.log.flush(), patience])
}

/** Starts a gateway; what an operator can mend (an address in use, a certificate that is not there) becomes one line. */
export async function startGateway (create: (config: Config) => Promise<Gateway>, config: Config): Promise<Gateway> {
  try {
    const gateway = await create(config)
    await gateway.start()
    return gateway
  } catch (error) {
    // A bug of ours is told with its stack.
    if (error instanceof TypeError && !('code' in error)) throw error
    throw new CommandError(describeStartError(error), { cause: error })
  }
}

function describeStartError (error: unknown): string {
  if (!(error instanceof Error)) return `cannot start: ${String(error)}`
  const { code, address, port, path } = error as NodeJS.ErrnoException & { address?: string, port?: number }
  const where = port === undefined ? address : `${address?.includes(':') === true ? `[${address}]` : address ?? ''}:${port}`
  switch (code) {
    case 'EADDRINUSE': return `cannot listen on ${where}: the address is in use. Another postern? Choose another with --listen or --admin.`
    case 'EACCES': return where === undefined ? `cannot start: ${error.message}` : `cannot listen on ${where}: not permitted. Ports below 1024 need a privilege.`
    case 'EADDRNOTAVAIL': return `cannot listen on ${where}: this machine does not have that address.`
    case 'ENOTFOUND': return `cannot listen: ${error.message}`
    case 'ENOENT': return `cannot start: there is no file ${path ?? ''}`
    default: return `cannot start: ${error.message}`
  }
}
