// Runs the checks of the embedded registry: HTTP and TCP for real, TTLs by the clock, and removes services that stay critical.
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { lookup as systemLookup } from 'node:dns'
import type { NetworkRules, Refusal } from './allowed-networks.ts'
import { hostAndPort } from './embedded-body.ts'
import type { CheckDefinition, Status } from './embedded-body.ts'
import type { Store, StoredCheck } from './embedded-store.ts'

/** What is kept of an answer's body, as in Consul. Bytes. */
const outputBytes = 4_096
/** Longest body that is read; the rest is not waited for. Bytes. */
const readBytes = 65_536
/** Redirects that are followed, as Go's client does. */
const mostRedirects = 10

export interface CheckRunner {
  /** Feeds a TTL check. Returns false when there is no such TTL check. */
  feed (id: string, status: Status, output: string): boolean
  close (): void
}

interface Running {
  readonly definition: CheckDefinition
  timer: NodeJS.Timeout | undefined
  readonly abort: AbortController
}

/**
 * Runs whatever checks the store holds from now on. The first run comes at a random time within the interval, as in Consul, so that many
 * checks are spread.
 * @param networks where checks may go, read anew at every run
 * @param random 0 ≤ random < 1
 */
export function runChecks (store: Store, networks: () => NetworkRules, random: () => number = Math.random): CheckRunner {
  const running = new Map<string, Running>()
  const reaping = new Map<string, NodeJS.Timeout>()

  const stop = (id: string): void => {
    const check = running.get(id)
    running.delete(id)
    clearTimeout(check?.timer)
    check?.abort.abort()
  }
  const unreap = (id: string): void => {
    clearTimeout(reaping.get(id))
    reaping.delete(id)
  }
  const runLater = (check: Running, delayMs: number): void => {
    check.timer = setTimeout(() => {
      void probe(check.definition, networks(), check.abort.signal).then(({ status, output }) => {
        if (running.get(check.definition.id) !== check) return
        store.setStatus(check.definition.id, status, output)
        // The status may have removed the check.
        if (running.get(check.definition.id) === check) runLater(check, check.definition.intervalMs)
      })
    }, delayMs)
  }
  const expireLater = (check: Running): void => {
    clearTimeout(check.timer)
    check.timer = setTimeout(() => store.setStatus(check.definition.id, 'critical', 'TTL expired'), check.definition.intervalMs)
  }

  store.listener = {
    checkAdded (definition) {
      stop(definition.id)
      if (definition.type === 'maintenance') return
      const check: Running = { definition, timer: undefined, abort: new AbortController() }
      running.set(definition.id, check)
      if (definition.type === 'ttl') expireLater(check)
      else runLater(check, random() * definition.intervalMs)
    },
    checkRemoved (id) {
      stop(id)
      unreap(id)
    },
    statusChanged ({ definition, status }: StoredCheck) {
      unreap(definition.id)
      if (status !== 'critical' || definition.deregisterAfterMs === 0 || definition.serviceId === '') return
      reaping.set(definition.id, setTimeout(() => store.deregister(definition.serviceId), Math.min(definition.deregisterAfterMs, 2 ** 31 - 1)))
    }
  }
  return {
    feed (id, status, output) {
      const check = running.get(id)
      if (check?.definition.type !== 'ttl') return false
      store.setStatus(id, status, output)
      expireLater(check)
      return true
    },
    close () {
      for (const id of [...running.keys()]) stop(id)
      for (const id of [...reaping.keys()]) unreap(id)
      store.listener = undefined
    }
  }
}

/** One run of a check. Never rejects: whatever goes wrong is the check's finding. */
export async function probe (check: CheckDefinition, networks: NetworkRules, signal: AbortSignal): Promise<{ status: Status, output: string }> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(check.timeoutMs)])
  try {
    if (check.type === 'tcp') {
      await connect(check.target, networks, limit)
      return { status: 'passing', output: `TCP connect ${check.target}: Success` }
    }
    const { status, phrase, body } = await get(check, new URL(check.target), networks, limit, mostRedirects)
    const found = status >= 200 && status < 300 ? 'passing' : status === 429 ? 'warning' : 'critical'
    return { status: found, output: `HTTP ${check.method} ${check.target}: ${status} ${phrase} Output: ${body}` }
  } catch (error) {
    const reason = limit.aborted ? `no answer within ${check.timeoutMs} ms` : (error as NodeJS.ErrnoException).code ?? (error as Error).message
    return { status: 'critical', output: check.type === 'tcp' ? `dial tcp ${check.target}: ${reason}` : `${check.method} ${JSON.stringify(check.target)}: ${reason}` }
  }
}

interface Answer { status: number, phrase: string, body: string }

/**
 * A registrant says where a check goes, and a redirect where it goes on: only where his endpoint may stand, never to Postern's own listeners nor to
 * what answers with a machine's credentials. Throws, or gives the lookup that holds what a name stands for against the same rules.
 */
function permit ({ origin }: URL, networks: NetworkRules): net.LookupFunction {
  const holdAgainst = (refusal: Refusal | undefined): void => { if (refusal !== undefined) throw new Error(`${refusal.reason}: no check goes there`) }
  holdAgainst(networks.check({ origin }, { registry: 'embedded' }))
  return (hostname, options, done) => {
    systemLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return done(error, [])
      try {
        holdAgainst(networks.resolved({ origin }, addresses.map(({ address }) => address), { registry: 'embedded' }))
      } catch (refused) {
        return done(refused as Error, [])
      }
      if (options.all === true) done(null, addresses)
      else done(null, addresses[0]!.address, addresses[0]!.family)
    })
  }
}

async function get (check: CheckDefinition, url: URL, networks: NetworkRules, signal: AbortSignal, redirects: number): Promise<Answer> {
  const lookup = permit(url, networks)
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method: check.method,
      // Go's client takes several values for a name; Node takes a flat list.
      headers: ['Host', url.host, 'User-Agent', 'Postern Health Check', 'Accept', 'text/plain, text/*, */*', 'Connection', 'close',
        ...(check.body === '' ? [] : ['Content-Length', String(Buffer.byteLength(check.body))]), ...check.header.flat()],
      signal,
      lookup,
      rejectUnauthorized: !check.tlsSkipVerify
    }, resolve)
    request.once('error', reject)
    request.end(check.body)
  })
  const location = response.headers.location
  if (location !== undefined && [301, 302, 303, 307, 308].includes(response.statusCode!)) {
    response.destroy()
    const next = new URL(location, url)
    if (redirects === 0 || !/^https?:$/.test(next.protocol)) throw new Error(`stopped at a redirect to ${next.href.slice(0, 200)}`)
    return await get(check, next, networks, signal, redirects - 1)
  }
  const chunks: Buffer[] = []
  let received = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (received < outputBytes) chunks.push(chunk)
    received += chunk.length
    if (received > readBytes) break
  }
  const body = Buffer.concat(chunks).subarray(0, outputBytes).toString()
  return { status: response.statusCode!, phrase: response.statusMessage ?? '', body }
}

function connect (target: string, networks: NetworkRules, signal: AbortSignal): Promise<void> {
  const address = hostAndPort(target)
  if (address === undefined) throw new Error('not host:port')
  const { host, port } = address
  const lookup = permit(new URL(`http://${host.includes(':') ? `[${host}]` : host}:${port}`), networks)
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...address, signal, lookup } as net.TcpNetConnectOpts)
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}
