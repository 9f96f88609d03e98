// The services of the story: one port each, every one answers after its delay. Runs as a process of its own.
// Arguments: control port, then the services' ports. `GET /?service=N&delayMs=M` at the control port changes a delay.
import { createServer } from 'node:http'
import { json } from '../scenarios.ts'

const [controlPort = '', ...ports] = process.argv.slice(2)
const body = Buffer.from(json(693))
const delaysMs = ports.map(() => 5)

for (const [service, port] of ports.entries()) {
  const server = createServer((request, response) => {
    request.resume()
    const timer = setTimeout(() => response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body), delaysMs[service])
    // Nobody waits any more.
    response.on('close', () => clearTimeout(timer))
  })
  server.keepAliveTimeout = 120_000
  server.listen(Number(port), '127.0.0.1', 4_096)
}

createServer((request, response) => {
  const { searchParams } = new URL(request.url ?? '/', 'http://origin')
  delaysMs[Number(searchParams.get('service'))] = Number(searchParams.get('delayMs'))
  response.end(JSON.stringify({ delaysMs }))
}).listen(Number(controlPort), '127.0.0.1')
