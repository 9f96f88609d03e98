// A relay of TCP connections before a program: whoever is behind it can be exchanged without a gap, as a load balancer or a reused container address does it.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Relay extends AsyncDisposable {
  readonly url: string
  /** Where new connections lead. */
  lead (port: number): void
  /** From now on, all that the program says arrives so much later; connections that are open are closed. */
  late (ms: number): void
  /** Closes the connections that are open. */
  cut (): void
}

export async function startRelay (port: number): Promise<Relay> {
  let to = port
  let lateMs = 0
  const open = new Set<Socket>()
  const server = createServer(socket => {
    const behind = connect(to, '127.0.0.1')
    open.add(socket)
    socket.on('close', () => { open.delete(socket); behind.destroy() })
    behind.on('close', () => socket.destroy())
    // What breaks one side ends both.
    for (const side of [socket, behind]) side.on('error', () => side.destroy())
    socket.pipe(behind)
    if (lateMs === 0) behind.pipe(socket)
    else behind.on('data', chunk => setTimeout(() => socket.write(chunk), lateMs))
  })
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(0, '127.0.0.1', resolve) })
  const cut = () => { for (const socket of open) socket.destroy() }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lead: next => { to = next },
    late (ms) {
      lateMs = ms
      cut()
    },
    cut,
    [Symbol.asyncDispose]: () => new Promise(resolve => {
      server.close(() => resolve())
      cut()
    })
  }
}
