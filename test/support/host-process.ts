// A ServiceStack host in a process of its own, which registers, starts and ends as real ones were seen to: told to stop it tries to deregister by GET, and dies of Consul's answer.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { checkBodies, deregisterAsPlugin, registerAsPlugin } from './plugin-registration.ts'
import { startServiceStackHost } from './servicestack-host.ts'
import { request, targetOf } from './http-client.ts'

export interface HostProcessOptions {
  /** URL of the agent it registers in. */
  readonly agent: string
  readonly service: string
  readonly messages: readonly string[]
  /** That of a process that died. Default: a free one. */
  readonly port?: number
}

/** What it tells its parent when it listens, and whenever it is asked. */
interface Told {
  readonly id: string
  readonly url: string
  readonly port: number
  readonly executed: number
  /** Calls of messages that it does not have. */
  readonly misdirected: readonly string[]
}

export interface HostProcess extends AsyncDisposable {
  readonly pid: number
  readonly id: string
  readonly url: string
  readonly port: number
  /** performance.now() when it said that it listens. */
  readonly listeningAt: number
  /** Messages executed by now. */
  executed (): Promise<number>
  /** Known by now, also of one that has ended. */
  misdirected (): readonly string[]
  /** SIGTERM. Resolves when it is dead, with what it said last. */
  terminate (): Promise<{ readonly code: number | null, readonly said: string }>
}

/** Starts one. Resolves when it is registered and listens. */
export async function startHostProcess (options: HostProcessOptions): Promise<HostProcess> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const kill = () => { child.kill('SIGKILL') }
  // A test run that is interrupted leaves nobody behind.
  process.once('exit', kill)
  let said = ''
  child.stderr!.on('data', (chunk: Buffer) => { said = (said + chunk.toString()).slice(-4_000) })
  const ended = once(child, 'close') as Promise<[code: number | null]>
  let last: Told | undefined
  child.on('message', (told: Told) => { last = told })
  await Promise.race([once(child, 'message'), ended.then(([code]) => { throw new Error(`the host ended with ${code}: ${said}`) })])
  const { id, url, port } = last!
  const end = async () => {
    const [code] = await ended
    process.removeListener('exit', kill)
    return { code, said }
  }
  return {
    pid: child.pid!,
    id,
    url,
    port,
    listeningAt: performance.now(),
    async executed () {
      const told = once(child, 'message')
      child.send('tell')
      await told
      return last!.executed
    },
    misdirected: () => last!.misdirected,
    async terminate () {
      child.kill('SIGTERM')
      return await end()
    },
    async [Symbol.asyncDispose] () {
      kill()
      await end()
    }
  }
}

/** What the process itself does. */
async function run ({ agent, service, messages, port }: HostProcessOptions): Promise<void> {
  const host = await startServiceStackHost({ service, listen: false, messages: Object.fromEntries(messages.map(name => [name, () => ({ body: {} })])), ...(port === undefined ? {} : { port }) })
  const tell = () => process.send!({
    id: host.id,
    url: host.url,
    port: host.port,
    executed: host.executed.length,
    misdirected: host.calls.filter(({ executed }) => executed === undefined).map(({ target }) => `${target} at ${host.url} (${service})`)
  } satisfies Told)
  process.on('SIGTERM', async () => {
    tell()
    const { statusLine } = await deregisterAsPlugin(agent, host.id)
    throw new Error(`Consul answered the deregistration with ${statusLine}`)
  })
  process.on('message', tell)
  process.on('disconnect', () => process.exit())
  // The service stands in Consul before its process listens, and its checks after that.
  await registerAsPlugin(agent, host, { withoutChecks: true })
  await host.listen()
  for (const check of checkBodies(host, { heartbeatIntervalS: 1 })) {
    await request(targetOf(agent), '/v1/agent/check/register', { method: 'PUT', headers: [['Content-Type', 'application/json']], body: JSON.stringify(check) })
  }
  tell()
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) await run(JSON.parse(process.argv[2]!) as HostProcessOptions)
