// Contender: a bare TCP relay, bytes in and bytes out. What Node costs before anything of HTTP is looked at.
// Arguments: port to listen on, port of the origin.
import { connect, createServer } from 'node:net'

const [port, originPort] = process.argv.slice(2).map(Number)

createServer({ noDelay: true }, client => {
  const origin = connect({ host: '127.0.0.1', port: originPort!, noDelay: true })
  client.pipe(origin)
  origin.pipe(client)
  client.on('error', () => origin.destroy())
  client.on('close', () => origin.destroy())
  origin.on('error', () => client.destroy())
}).listen({ port, host: '127.0.0.1', backlog: 4096 })
