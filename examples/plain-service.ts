// A service of any kind behind Postern: it names its messages in its registration's Meta, and answers them at /json/reply/{Message}.
//
//   npx postern demo                                            # prints where its registry is
//   npx node examples/plain-service.ts http://127.0.0.1:8500
//   curl 'http://127.0.0.1:8080/json/reply/Greet?name=Ann'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const registry = process.argv[2] ?? 'http://127.0.0.1:8500'

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://service')
  const answer = url.pathname === '/json/reply/Greet'
    ? { status: 200, body: { greeting: `Hello, ${url.searchParams.get('name') ?? 'whoever you are'}` } }
    : { status: url.pathname === '/' ? 200 : 404, body: {} } // Postern asks for / once, to see that somebody is there.
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
})
server.listen(0, '127.0.0.1')
await new Promise(resolve => server.once('listening', resolve))
const { port } = server.address() as AddressInfo
const id = `greeter-${process.pid}`

async function put (path: string, body?: object): Promise<void> {
  const response = await fetch(registry + path, { method: 'PUT', ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
}

// Before it registers: from then on anybody may call, and stop, this service.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    put(`/v1/agent/service/deregister/${id}`).catch((error: unknown) => console.error(error)).finally(() => server.close(() => process.exit(0)))
    server.closeIdleConnections()
  })
}

// "api" is what Postern watches unless registry.consul.services says otherwise. Postern's own name for it is the id's or this one.
await put('/v1/agent/service/register', {
  ID: id,
  Name: 'api',
  Address: '127.0.0.1',
  Port: port,
  Meta: { messages: 'Greet' },
  Check: { HTTP: `http://127.0.0.1:${port}/`, Interval: '10s', DeregisterCriticalServiceAfter: '10m' }
})
console.log(`Greet is answered at http://127.0.0.1:${port}, registered at ${registry}`)
