// Clients that leave before they are answered: half of them while they wait, half in the middle of their request's body.
// Arguments: port, path of a message that is not answered in time, seconds. Prints how many there were.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const [port = '', path = '', seconds = ''] = process.argv.slice(2)
const clients = 32
/** Long enough to be sent upstream, shorter than the answer takes. */
const patienceMs = 5

const requests = [
  `GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`,
  `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"half": `
]

let left = 0
const endAtMs = performance.now() + Number(seconds) * 1_000
await Promise.all(Array.from({ length: clients }, async (_, n) => {
  while (performance.now() < endAtMs) {
    const socket = connect({ host: '127.0.0.1', port: Number(port) })
    // The gateway may close first: the client is gone either way.
    socket.on('error', () => {})
    socket.write(requests[n % 2]!)
    await sleep(patienceMs)
    socket.destroy()
    left++
  }
}))
process.stdout.write(`${left}\n`)
