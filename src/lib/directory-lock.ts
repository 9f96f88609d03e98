// One process at a directory: a socket in it that answers for as long as its process lives. Whatever ends the process ends the lock. I/O.
import { link, mkdir, open, rename, unlink } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'

/** Somebody else holds it. `holder`: what he says of himself; '' when he says nothing in time. */
export class DirectoryInUse extends Error {
  readonly holder: string

  constructor (directory: string, holder: string) {
    super(`${directory} is in use by another process${holder === '' ? '' : ` (${holder})`}`)
    this.name = 'DirectoryInUse'
    this.holder = holder
  }
}

export interface DirectoryLock {
  release (): Promise<void>
}

const name = 'lock.sock'
/** A process on the same machine that is alive answers at once; one that is stopped or very busy holds the directory all the same. ms. */
const answerMs = 2_000

/**
 * Takes the lock of a directory, which is made when missing (for the owner only). `holder`: what is said to whoever comes later.
 * @throws DirectoryInUse; what the file system says where the directory cannot be written or holds no sockets
 */
export async function lockDirectory (directory: string, holder: string): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const folder = await open(directory, 'r')
  // The path of a socket has 107 bytes at most, that of a directory more: on Linux it has a short name of its own.
  const base = process.platform === 'linux' ? `/proc/self/fd/${folder.fd}` : directory
  const own = `${name}.${process.pid}.${Math.random().toString(36).slice(2, 10)}`
  let server: net.Server | undefined
  try {
    const listening = server = await listen(join(base, own), holder)
    await take(directory, base, own)
    return { release: async () => await release(listening, directory) }
  } catch (error) {
    await close(server)
    throw error
  } finally {
    await unlink(join(directory, own)).catch(ignoreMissing)
    await folder.close()
  }
}

/** A link is made by one of several at most, and only where nothing stands. */
async function take (directory: string, base: string, own: string): Promise<void> {
  const path = join(directory, name)
  for (;;) {
    try {
      return await link(join(directory, own), path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const said = await ask(join(base, name))
    if (said !== undefined) throw new DirectoryInUse(directory, said)
    // What a process left that was killed is put aside, and looked at once more there: somebody may have taken its place meanwhile.
    const aside = `${own}.old`
    await rename(path, join(directory, aside)).catch(ignoreMissing)
    const after = await ask(join(base, aside))
    if (after !== undefined) {
      await link(join(directory, aside), path).catch((error: unknown) => {
        // Yet another one has come meanwhile: whoever has it, we have not.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      })
    }
    await unlink(join(directory, aside)).catch(ignoreMissing)
    if (after !== undefined) throw new DirectoryInUse(directory, after)
  }
}

const nobody: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'ENOTSOCK'])

/** What whoever holds it says; undefined: nobody does. */
function ask (path: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  let said = ''
  const socket = net.connect({ path })
  socket.setTimeout(answerMs, () => { socket.destroy(); resolve(said) })
  socket.on('data', chunk => { said = (said + chunk.toString()).slice(0, 200) })
  socket.on('end', () => resolve(said))
  // Nobody listens, or he ended while he was asked; any other error says only that somebody is there.
  socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(nobody.has(code ?? '') ? undefined : said))
  return promise
}

function listen (path: string, holder: string): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer(socket => {
      // Who asks may be gone before he is answered.
      socket.on('error', () => {})
      socket.end(holder)
    })
    server.once('error', reject)
    server.listen(path, () => resolve(server.unref()))
  })
}

async function release (server: net.Server, directory: string): Promise<void> {
  // First the name, while it is ours for certain.
  await unlink(join(directory, name)).catch(ignoreMissing)
  await close(server)
}

async function close (server: net.Server | undefined): Promise<void> {
  if (server?.listening === true) await new Promise(resolve => server.close(resolve))
}

function ignoreMissing (error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
