// The command of the benchmark: reads arguments, runs one of the measurements, prints its result.
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { simulateNewcomer, simulateStrategies, simulateZone } from './balancer/fleet.ts'
import { balancerMarkdown } from './balancer/report.ts'
import { describeCatalog, isMet, measureCatalog } from './catalog.ts'
import { measureCache } from './cache.ts'
import { describeCache, judgeCache } from './cache/verdict.ts'
import { compareStarts } from './compare.ts'
import { cachingContenders, contenders, everything, postern, unprotected } from './contenders.ts'
import { measureMemory } from './memory.ts'
import { describe } from './memory/verdict.ts'
import { profile } from './profile.ts'
import { intoPage, lines, markdown, targetLines } from './report.ts'
import { scenarios } from './scenarios.ts'
import { measureStory, storyContenders } from './story.ts'
import { storyPicture } from './story/picture.ts'
import { storyMarkdown, storyTargets } from './story/report.ts'
import { measureSwap } from './swap.ts'
import { describeSwap, judgeSwap } from './swap/verdict.ts'
import { findProgram } from './support/binaries.ts'
import { exitOnSignals } from './support/stage.ts'

const usage = `Usage: npm run bench -- [MEASUREMENT] [OPTIONS]

Measurements:
  compare (default)  CPU time per request of Postern and others, as ratios
  profile            where Postern's CPU time goes: functions and modules by self time
  hit                CPU time per request of an answer from the cache, beside nginx proxy_cache and Varnish (options as compare)
  cache              bytes of a stored answer, memory in a flood of unique keys, hits while 10,000 answers end at once
  protections        CPU time per request with the protections as they come, and with everything on, over the same code without them (options as compare)
  memory             whether a million requests leave anything behind
  swap               what swapping a table of 20,000 messages adds to requests in flight
  balancer           the strategies of balancing, simulated: the same figures at every run
  catalog            5,000 instances of which 1 % change every second: event-loop delay of the data plane, memory
  story              one slow service among five: who is hurt, in front of Postern and of others

Options of compare:
  --rounds N         rounds (20)
  --starts N         how often all contenders are started anew, the rounds shared out among them (1; protections: 5)
  --seconds N        length of a slice (2)
  --warm-up N        seconds of load on each contender and scenario before the first round (3)
  --quick            3 rounds of 1 s, 1 s of warm-up: to see that all works, not to measure
  --only A,B         contenders: ${contenders.map(({ name }) => name).join(', ')}
  --scenario A,B     scenarios: ${scenarios.map(({ name }) => name).join(', ')}
  --also NAME=DIR    also measures the Postern of another working copy, as postern-NAME (repeatable)
  --json FILE        writes slices and ratios as JSON
  --write            writes the table into docs/BENCHMARK.md

Options of profile:  --seconds N (10), --warm-up N (4), --scenario NAME (get-small), --contender NAME (postern, tcp-relay, http-proxy),
                     --top N (40), --out FILE (keeps the .cpuprofile, for a browser's developer tools)
Options of cache:    --seconds N (30, of the flood), --json FILE
Options of memory:   --requests N (1000000), --json FILE
Options of swap:     --seconds N (6, each phase), --rounds N (5, of four phases), --messages N (20000), --endpoints N (2000), --rate N (200 requests/s),
                     --json FILE
Options of balancer: --write (docs/BALANCING.md)
Options of catalog:  --minutes N (10), --messages N (20000), --endpoints N (5000), --json FILE
Options of story:    --rounds N (5, of Postern; the others take part in the first), --hurry N (1; divides every time of the story),
                     --only A,B (postern, postern-unprotected, nginx, haproxy, caddy), --json FILE, --write (docs/STORY.md and its picture)
All:                 --connections N (64), --help

Examples:
  npm run bench
  npm run bench -- --quick --only postern,nginx --scenario get-small
  npm run bench -- --rounds 10 --only postern,nginx --also before=../postern-before
  npm run bench -- profile --seconds 15

Exit codes: 0 measured, 1 a target is missed, 2 wrong arguments, 3 something needed is missing or failed.
`

/** What the operator got wrong in the arguments. */
class UsageError extends Error {}

const parse = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        starts: { type: 'string' },
        seconds: { type: 'string' },
        'warm-up': { type: 'string' },
        connections: { type: 'string', default: '64' },
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        scenario: { type: 'string' },
        also: { type: 'string', multiple: true, default: [] },
        contender: { type: 'string', default: 'postern' },
        json: { type: 'string' },
        write: { type: 'boolean', default: false },
        top: { type: 'string', default: '40' },
        out: { type: 'string' },
        requests: { type: 'string', default: '1000000' },
        messages: { type: 'string', default: '20000' },
        endpoints: { type: 'string' },
        rate: { type: 'string', default: '200' },
        minutes: { type: 'string' },
        hurry: { type: 'string', default: '1' },
        help: { type: 'boolean', default: false }
      }
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
type Options = ReturnType<typeof parse>['values']

const wholeNumber = (name: string, text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--${name} wants a whole number above 0, not ${text}`)
  return Number(text)
}

const choose = <T extends { readonly name: string }>(what: string, from: readonly T[], names: string): T[] => names.split(',').map(name => {
  const found = from.find(candidate => candidate.name === name)
  if (found === undefined) throw new UsageError(`no ${what} ${name}; there are ${from.map(candidate => candidate.name).join(', ')}`)
  return found
})

const tool = (name: string): string => {
  const found = findProgram(name)
  if (found === undefined) throw new Error(`${name} is needed and not installed (Debian: apt-get install ${name}, or .ci/parts ${name})`)
  return found
}

const progress = (line: string): void => { process.stderr.write(`${line}\n`) }

const otherPostern = (text: string) => {
  const [, name, directory] = /^([\w-]+)=(.+)$/.exec(text) ?? []
  if (name === undefined || directory === undefined) throw new UsageError(`--also wants NAME=DIR, not ${text}`)
  return postern(`postern-${name}`, resolve(directory, 'src/main.ts'))
}

const runCompare = async (options: Options, mark?: string): Promise<number> => {
  const connections = wholeNumber('connections', options.connections, 64)
  const comparison = await compareStarts({
    contenders: [...options.only === undefined ? contenders : choose('contender', [...contenders, everything, ...cachingContenders], options.only), ...options.also.map(otherPostern)],
    scenarios: options.scenario === undefined ? scenarios.filter(({ standard }) => standard) : choose('scenario', scenarios, options.scenario),
    rounds: wholeNumber('rounds', options.rounds, options.quick ? 3 : 20),
    seconds: wholeNumber('seconds', options.seconds, options.quick ? 1 : 2),
    warmUpSeconds: wholeNumber('warm-up', options['warm-up'], options.quick ? 1 : 3),
    connections,
    tools: { nginx: tool('nginx'), wrk: tool('wrk') },
    progress
  }, wholeNumber('starts', options.starts, 1))
  const table = markdown(comparison)
  const reached = targetLines(comparison)
  process.stdout.write(`\n${table}\n`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ ...comparison, lines: lines(comparison), targets: reached }, null, 2)}\n`)
  if (options.write) {
    const page = new URL('../docs/BENCHMARK.md', import.meta.url)
    writeFileSync(page, intoPage(readFileSync(page, 'utf8'), table, mark))
  }
  return reached.every(({ met }) => met) ? 0 : 1
}

/** The same comparison, of those who have a cache. */
const runHit = async (options: Options): Promise<number> => await runCompare({
  ...options, scenario: 'cache-hit', only: options.only ?? ['postern', ...cachingContenders.map(({ name }) => name)].join(',')
}, 'hits')

/** The same comparison, of Postern with its protections as they come, with everything on, and without. */
const runProtections = async (options: Options): Promise<number> => await runCompare({
  ...options, starts: options.starts ?? '5', scenario: options.scenario ?? 'get-small,post-small', only: options.only ?? ['postern', everything.name, unprotected.name].join(',')
}, 'protections')

const runProfile = async (options: Options): Promise<number> => {
  const only = [...contenders, everything].filter(({ program }) => program === undefined)
  const [contender] = choose('contender in Node', only, options.contender)
  const [scenario] = choose('scenario', scenarios, options.scenario ?? 'get-small')
  process.stdout.write(await profile({
    contender: contender!,
    scenario: scenario!,
    seconds: wholeNumber('seconds', options.seconds, 10),
    warmUpSeconds: wholeNumber('warm-up', options['warm-up'], 4),
    connections: wholeNumber('connections', options.connections, 64),
    top: wholeNumber('top', options.top, 40),
    out: options.out,
    tools: { nginx: tool('nginx'), wrk: tool('wrk') }
  }))
  return 0
}

const runMemory = async (options: Options): Promise<number> => {
  const { samples, verdict } = await measureMemory({
    requests: wholeNumber('requests', options.requests, 1_000_000),
    connections: wholeNumber('connections', options.connections, 64),
    tools: { nginx: tool('nginx'), wrk: tool('wrk') },
    progress
  })
  process.stdout.write(describe(samples, verdict))
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ samples, verdict }, null, 2)}\n`)
  return verdict.flat ? 0 : 1
}

const runCache = async (options: Options): Promise<number> => {
  const result = await measureCache({
    seconds: wholeNumber('seconds', options.seconds, 30),
    connections: wholeNumber('connections', options.connections, 64),
    tools: { nginx: tool('nginx'), wrk: tool('wrk') },
    progress
  })
  process.stdout.write(describeCache(result))
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ ...result, verdict: judgeCache(result) }, null, 2)}\n`)
  return judgeCache(result).met ? 0 : 1
}

const runSwap = async (options: Options): Promise<number> => {
  const result = await measureSwap({
    messages: wholeNumber('messages', options.messages, 20_000),
    endpoints: wholeNumber('endpoints', options.endpoints, 2_000),
    seconds: wholeNumber('seconds', options.seconds, 6),
    pairs: wholeNumber('rounds', options.rounds, 5),
    rate: wholeNumber('rate', options.rate, 200),
    tools: { nginx: tool('nginx') },
    progress
  })
  process.stdout.write(describeSwap(result))
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ ...result, verdict: judgeSwap(result) }, null, 2)}\n`)
  return judgeSwap(result).met ? 0 : 1
}

const runCatalog = async (options: Options): Promise<number> => {
  const result = await measureCatalog({
    messages: wholeNumber('messages', options.messages, 20_000),
    endpoints: wholeNumber('endpoints', options.endpoints, 5_000),
    minutes: wholeNumber('minutes', options.minutes, 10),
    progress
  })
  process.stdout.write(describeCatalog(result))
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
  return isMet(result) ? 0 : 1
}

const runStory = async (options: Options): Promise<number> => {
  const story = await measureStory({
    rounds: wholeNumber('rounds', options.rounds, 5),
    contenders: options.only === undefined ? storyContenders : choose('contender', storyContenders, options.only),
    hurry: wholeNumber('hurry', options.hurry, 1),
    progress
  })
  const table = storyMarkdown(story)
  process.stdout.write(`\n${table}\n`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ ...story, titles: [...story.titles] })}\n`)
  if (options.write) {
    const page = new URL('../docs/STORY.md', import.meta.url)
    writeFileSync(page, intoPage(readFileSync(page, 'utf8'), table))
    writeFileSync(new URL('../docs/story.svg', import.meta.url), storyPicture(story))
  }
  return storyTargets(story).every(({ met }) => met) ? 0 : 1
}

const runBalancer = (options: Options): Promise<number> => {
  const table = balancerMarkdown({ strategies: simulateStrategies(), newcomer: simulateNewcomer(), zone: simulateZone() })
  process.stdout.write(`\n${table}\n`)
  if (options.write) {
    const page = new URL('../docs/BALANCING.md', import.meta.url)
    writeFileSync(page, intoPage(readFileSync(page, 'utf8'), table))
  }
  return Promise.resolve(0)
}

const measurements: Readonly<Record<string, (options: Options) => Promise<number>>> = {
  compare: options => runCompare(options), hit: runHit, cache: runCache, protections: runProtections, profile: runProfile, memory: runMemory, swap: runSwap, catalog: runCatalog, story: runStory, balancer: runBalancer
}

const run = async (): Promise<number> => {
  const { values, positionals: [measurement = 'compare', ...rest] } = parse()
  if (values.help) {
    process.stdout.write(usage)
    return 0
  }
  if (rest.length > 0) throw new UsageError(`too many arguments: ${rest.join(' ')}`)
  if (process.platform !== 'linux') throw new Error('CPU time is read from /proc: the benchmark runs on Linux only')
  const measure = Object.hasOwn(measurements, measurement) ? measurements[measurement] : undefined
  if (measure !== undefined) return await measure(values)
  throw new UsageError(`no measurement ${measurement}; there are ${Object.keys(measurements).join(', ')}`)
}

exitOnSignals()
try {
  process.exitCode = await run()
} catch (error) {
  process.stderr.write(`${error instanceof UsageError ? `${error.message}\nTry --help.` : (error as Error).message}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 3
}
