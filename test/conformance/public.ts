// Runs the public suite for HTTP caches (http-tests/cache-tests) through a gateway, and compares what fails with what docs/CACHE-CONFORMANCE.md has of it.
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { freePorts } from '../support/ports.ts'
import { startGateway, type PartialConfig } from '../support/gateway.ts'
import { until } from '../support/until.ts'

const suite = 'http-cache-tests@0.4.5'
const forEver = 2_147_483_648_000

/** Required cases of this release that do not pass; docs/CACHE-CONFORMANCE.md says of each why. */
const known: readonly string[] = [
  ...['nonnumeric', 'negative', 'float', 'parameter', 'numeric-parameter', 'prefix-twoline', 'dup-0', 'dup-0-twoline', 'dup-old'].map(name => `age-parse-${name}`),
  ...['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=2'].map(name => `stale-close-${name}`),
  ...['max-age-0-expires', 'max-age-long-cc-max-age', 'no-store-cc-fresh', 'fresh-cc-nostore'].map(name => `surrogate-${name}`),
  // Cannot be set up.
  'headers-store-Transfer-Encoding', '304-etag-update-response-ETag'
]

interface Suite { readonly tests: ReadonlyArray<{ readonly id: string, readonly kind?: string, readonly browser_only?: boolean }> }

/** true, or what went wrong. */
type Results = Readonly<Record<string, true | readonly [kind: string, text: string]>>

const print = (line: string) => process.stdout.write(`${line}\n`)
const run = promisify(execFile)

const directory = await mkdtemp(join(tmpdir(), 'postern-cache-tests-'))
await using stack = new AsyncDisposableStack()
stack.defer(async () => { await rm(directory, { recursive: true, force: true }) })

try {
  await run('npm', ['install', '--prefix', directory, '--ignore-scripts', '--no-audit', '--no-fund', suite])
} catch (error) {
  print(`${suite} cannot be had, so nothing was compared: ${(error as Error).message}`)
  process.exitCode = 2
}
if (process.exitCode === undefined) await compare(join(directory, 'node_modules', 'http-cache-tests'))

async function compare (home: string): Promise<void> {
  const [port] = await freePorts(1)
  const env = { ...process.env, npm_config_protocol: 'http', npm_config_port: String(port), npm_config_pidfile: join(directory, 'pid'), npm_config_id: '', npm_package_config_id: '' }
  const server = spawn(process.execPath, [join(home, 'server/server.mjs')], { cwd: home, env, stdio: 'ignore' })
  stack.defer(() => { server.kill() })
  const origin = `http://127.0.0.1:${port}`
  await until('the server of the suite', async () => await fetch(origin).then(({ ok }) => ok, () => false))
  const gateway = stack.use(await startGateway({
    upstreams: { origin: { endpoints: [origin] } },
    defaults: { breaker: { volumeThreshold: 1_000_000 } },
    prefixes: { '/*': { upstream: 'origin', policy: { attempts: 1, cache: { key: { unkeyedHeaders: 'messages' }, setCookie: 'store', guard: { maxStoredMs: forEver, maxClientMs: forEver } } } } }
  } as PartialConfig))
  await gateway.waitForEndpoint(origin)
  const { stdout } = await run(process.execPath, ['--no-warnings', 'cli.mjs'], { cwd: home, env: { ...env, npm_config_base: gateway.url }, maxBuffer: 16_777_216 })
  const results = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Results
  const load = async (file: string) => (await import(pathToFileURL(join(home, 'tests', file)).href) as { default: unknown }).default
  const cases = [...await load('index.mjs') as Suite[], await load('surrogate-control.mjs') as Suite].flatMap(({ tests }) => tests).filter(({ browser_only: ofBrowser }) => ofBrowser !== true)
  say(cases, results)
}

function say (cases: Suite['tests'], results: Results): void {
  const failing: string[] = []
  for (const kind of ['required', 'optimal', 'check']) {
    const own = cases.filter(each => (each.kind ?? 'required') === kind)
    const failed = own.filter(({ id }) => results[id] !== true)
    print(`${kind}: ${own.length - failed.length} of ${own.length} pass`)
    if (kind === 'required') failing.push(...failed.map(({ id }) => id))
  }
  const isAnother = (ids: readonly string[], than: readonly string[]) => ids.filter(id => !than.includes(id))
  const worse = isAnother(failing, known)
  for (const id of worse) print(`fails, and did not: ${id}: ${JSON.stringify(results[id])}`)
  for (const id of isAnother(known, failing)) print(`passes, and did not: ${id}`)
  print(worse.length === 0 ? 'As recorded.' : 'Not as recorded.')
  if (worse.length > 0) process.exitCode = 1
}
