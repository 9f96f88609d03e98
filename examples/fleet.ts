// The demo's sample services by themselves, registered in any registry that speaks Consul's HTTP API.
//
//   consul agent -dev
//   npx postern start --consul http://127.0.0.1:8500
//   npx node examples/fleet.ts http://127.0.0.1:8500
import { startFleet } from '../src/command/demo/fleet.ts'

const registry = process.argv[2] ?? 'http://127.0.0.1:8500'
const fleet = await startFleet(registry)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    fleet.close().then(() => process.exit(0), (error: unknown) => {
      console.error(error)
      process.exit(1)
    })
  })
}
console.log(`Catalog (two instances) and Orders are registered at ${registry}`)
