// A DNS server on a UDP port that knows what a test tells it: A and AAAA records with a TTL (RFC 1035, RFC 3596), and nothing else.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'

export interface NameServer extends AsyncDisposable {
  /** `address:port`, as registry.nameServers takes it. */
  readonly address: string
  /** Names asked so far, in order; those that got no answer too. */
  readonly asked: readonly string[]
  /** It answers nothing, as a server that died. */
  silent: boolean
  /** It answers nothing to questions of this type. */
  dropped: 'A' | 'AAAA' | undefined
  /** Where a name leads from now on; none: it does not exist. */
  point (name: string, ...ips: string[]): void
  /** How long its answers for a name hold, seconds; 1 where nothing is said. */
  readonly ttlS: Record<string, number>
}

const types = { A: 1, AAAA: 28 } as const
const nameError = 3

/** The name in the first question, and where its type stands. */
function readQuestion (packet: Buffer): { name: string, typeAt: number } {
  const labels: string[] = []
  let at = 12
  for (let length = packet[at]!; length > 0; length = packet[at]!) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), typeAt: at + 1 }
}

/** IPv6 with one `::`. */
function bytesOf (ip: string): number[] {
  if (!isIPv6(ip)) return ip.split('.').map(Number)
  const [before, after] = ip.split('::').map(half => half.split(':').filter(group => group !== ''))
  const groups = [...before!, ...Array<string>(8 - before!.length - after!.length).fill('0'), ...after!]
  return groups.map(group => parseInt(group, 16)).flatMap(group => [group >> 8, group & 255])
}

export async function startNameServer (): Promise<NameServer> {
  const known = new Map<string, readonly string[]>()
  const asked: string[] = []
  const ttlS: Record<string, number> = {}
  const socket = createSocket('udp4')
  const server: Pick<NameServer, 'silent' | 'dropped'> = { silent: false, dropped: undefined }
  socket.on('message', (packet, { port, address }) => {
    const { name, typeAt } = readQuestion(packet)
    asked.push(name)
    const type = packet.readUInt16BE(typeAt)
    if (server.silent || (server.dropped !== undefined && type === types[server.dropped])) return
    const ips = known.get(name)
    const answers = (ips ?? []).filter(ip => type === types[isIPv6(ip) ? 'AAAA' : 'A'])
    const head = Buffer.from(packet.subarray(0, 12))
    head.writeUInt16BE(0x8180 | (ips === undefined ? nameError : 0), 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(answers.length, 6)
    head.writeUInt32BE(0, 8)
    const records = answers.map(ip => {
      const data = bytesOf(ip)
      const record = Buffer.alloc(12 + data.length)
      // The name is that of the question.
      record.writeUInt16BE(0xc00c, 0)
      record.writeUInt16BE(type, 2)
      record.writeUInt16BE(1, 4)
      record.writeUInt32BE(ttlS[name] ?? 1, 6)
      record.writeUInt16BE(data.length, 10)
      record.set(data, 12)
      return record
    })
    socket.send(Buffer.concat([head, packet.subarray(12, typeAt + 4), ...records]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    ttlS,
    get silent () { return server.silent },
    set silent (silent) { server.silent = silent },
    get dropped () { return server.dropped },
    set dropped (dropped) { server.dropped = dropped },
    point (name, ...ips) {
      if (ips.length === 0) known.delete(name)
      else known.set(name, ips)
    },
    [Symbol.asyncDispose]: async () => { await new Promise<void>(resolve => { socket.close(resolve) }) }
  }
}
