// Contender: @fastify/http-proxy as it comes, no log. Arguments: port to listen on, port of the origin.
import Fastify from 'fastify'
import httpProxy from '@fastify/http-proxy'

const [port, originPort] = process.argv.slice(2).map(Number)

const app = Fastify()
await app.register(httpProxy, { upstream: `http://127.0.0.1:${originPort}` })
await app.listen({ port: port!, host: '127.0.0.1' })
