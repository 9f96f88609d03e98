// An address of this machine where nobody takes connections and nobody refuses them, as behind a firewall that drops packets: a listener that sleeps, its queue full. Linux.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface BlackHole extends AsyncDisposable {
  /** Of 127.0.0.1. */
  readonly port: number
}

const program = 'const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => console.log(server.address().port))'
/** How long a connect that the system does not take at once is waited for, ms. */
const connectMs = 300

export async function startBlackHole (): Promise<BlackHole> {
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const sockets: Socket[] = []
  // A test run that is interrupted leaves nobody behind.
  const onExit = () => { child.kill('SIGKILL') }
  process.once('exit', onExit)
  const [line] = await once(child.stdout, 'data') as [Buffer]
  const port = Number(line.toString())
  child.kill('SIGSTOP')
  for (let taken = true; taken;) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {}) // It ends with the child.
    sockets.push(socket)
    taken = await Promise.race([once(socket, 'connect').then(() => true), sleep(connectMs, false)])
  }
  return {
    port,
    async [Symbol.asyncDispose] () {
      for (const socket of sockets) socket.destroy()
      process.removeListener('exit', onExit)
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
  }
}
