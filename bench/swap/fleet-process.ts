// The fleet in a process of its own, which may give way to the gateway: what its catalogue costs must neither be counted as the gateway's nor take its turn.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { namesOf, shapeOf, startFleet, type Fleet, type FleetOptions } from './fleet.ts'

/** Nice value: behind everything that is measured. */
const behind = 15

/** Lowers this process, and its session as a whole where Linux shares the cores out among sessions first (sched_autogroup). */
const standBehind = (): void => {
  setPriority(behind)
  try {
    writeFileSync('/proc/self/autogroup', String(behind))
  } catch (error) {
    // A kernel without autogroups: the process's own value counts.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

interface Replace { readonly services: readonly number[] }

export interface ProcessOptions {
  /** Whether it stands behind everything else. */
  readonly givesWay: boolean
}

/** Starts the process. Resolves when it listens; rejects when it ends before that. */
export const forkFleet = async (options: FleetOptions, { givesWay }: ProcessOptions): Promise<Fleet> => {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options), String(givesWay)], { detached: givesWay })
  const exit = once(child, 'exit')
  const [said] = await Promise.race([once(child, 'message') as Promise<[{ port: number }]>, exit.then(([code]) => { throw new Error(`the fleet ended with exit code ${code}`) })])
  const { services, perService } = shapeOf(options)
  const generations = new Array<number>(services).fill(0)
  const end = () => { child.kill('SIGKILL') }
  process.on('exit', end)
  return {
    port: said.port,
    services,
    messagesOf: service => namesOf(service, perService, generations[service]!),
    replace (changed) {
      for (const service of changed) generations[service]!++
      child.send({ services: changed } satisfies Replace)
    },
    async close () {
      process.off('exit', end)
      end()
      await exit
    }
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[3] === 'true') standBehind()
  const fleet = await startFleet(JSON.parse(process.argv[2]!) as FleetOptions)
  process.on('message', ({ services }: Replace) => fleet.replace(services))
  process.on('disconnect', () => process.exit())
  process.send({ port: fleet.port })
}
