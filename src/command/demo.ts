// postern demo: a gateway with an embedded registry and sample services behind it, to try without anything else.
import { createServer } from 'node:net'
import { parseConfig } from '../config/parse.ts'
import type { Config } from '../config/schema.ts'
import { createGateway, type Gateway } from '../gateway.ts'
import { version } from '../version.ts'
import { askAdmin } from './ask-admin.ts'
import type { Arguments } from './arguments.ts'
import { startFleet } from './demo/fleet.ts'
import type { Help } from './help.ts'
import type { RoutesAnswer } from './routes-table.ts'
import { runUntilStopped, startGateway } from './run.ts'
import { CommandError, type Terminal } from './terminal.ts'

export const demoHelp: Help = {
  summary: 'Runs a gateway with sample services behind it, to try calls.',
  usage: 'postern demo [--listen HOST:PORT] [--admin HOST:PORT]',
  text: 'Needs nothing else: the registry is embedded, the services run in this process. Services of yours may register there too.',
  flags: {
    listen: { short: 'l', value: 'HOST:PORT', help: 'Where clients call. Default: 127.0.0.1:8080, or a free port.' },
    admin: { short: 'a', value: 'HOST:PORT', help: 'Where operators call. Default: 127.0.0.1:9901, or a free port.' }
  },
  examples: [
    ['postern demo', ''],
    ['postern demo --listen 127.0.0.1:0', 'on any free port']
  ]
}

/** The services' messages are known a moment after they registered. */
const readyWithinMs = 15_000

export async function demo (args: Arguments, terminal: Terminal): Promise<number> {
  const listen = args.one('listen') ?? await freeAddress(8080)
  const admin = args.one('admin') ?? await freeAddress(9901)
  const config = demoConfig(listen, admin, await freeAddress(8500))
  return await runUntilStopped(terminal, async () => {
    const gateway = await startGateway(createGateway, config)
    try {
      const fleet = await startFleet(gateway.addresses.embedded!)
      await routed(gateway)
      terminal.out(greeting(gateway))
      return { gateway, close: () => fleet.close() }
    } catch (error) {
      await gateway.close()
      throw error
    }
  })
}

/** All defaults but the addresses, an embedded registry, a log that leaves the screen to the greeting, and two instances that visibly take turns. */
function demoConfig (listen: string, admin: string, embedded: string): Config {
  const text = JSON.stringify({ registry: { embedded: { address: embedded } }, exposure: { suggest: true }, defaults: { policy: { balancer: { strategy: 'round-robin' } } }, log: { level: 'error' } })
  return parseConfig(text, { file: 'demo', directory: process.cwd(), overrides: { listen, admin }, readSecret: () => '' }).config
}

/** The usual port of 127.0.0.1, or 0 where somebody has it. */
async function freeAddress (port: number): Promise<string> {
  const isFree = await new Promise<boolean>(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
  return `127.0.0.1:${isFree ? port : 0}`
}

/** Settles when every sample service may be called. */
async function routed (gateway: Gateway): Promise<void> {
  const until = performance.now() + readyWithinMs
  for (;;) {
    const result = await askAdmin(`${gateway.addresses.admin}/api/routes`)
    const { routes = [] } = (result.kind === 'answer' && result.status === 200 ? JSON.parse(result.body) : {}) as Partial<RoutesAnswer>
    const isReady = (name: string, endpoints: number) => routes.some(route => route.message === name && route.state === 'routed' && route.endpoints === endpoints)
    if (isReady('GetProduct', 2) && isReady('PlaceOrder', 1)) return
    if (performance.now() >= until) throw new CommandError('the sample services did not become callable.')
    await new Promise(resolve => { setTimeout(resolve, 50) })
  }
}

function greeting ({ addresses }: Gateway): string {
  const { listener, admin, embedded } = addresses
  return `postern ${version} listening on ${listener} (admin ${admin})

Behind it: Catalog in two instances and Orders in one, registered at ${embedded ?? ''}. Try:

  curl ${listener}/json/reply/FindProducts                                  # one of the instances answers
  curl '${listener}/json/reply/GetProduct?Id=1' '${listener}/json/reply/GetProduct?Id=1'   # the two in turn: see "instance"
  curl -i -d '{"ProductId":2}' ${listener}/json/reply/PlaceOrder             # fails usefully: no customer

Ctrl-C ends it.
`
}
