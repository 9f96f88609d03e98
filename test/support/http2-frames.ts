// HTTP/2 by hand, for clients that no library plays: frames (RFC 9113 section 4.1) and heads by the static table of HPACK (RFC 7541 appendix A).

export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, windowUpdate: 8 }
export const flag = { endStream: 1, endHeaders: 4 }

export function frame (type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** What a client begins a connection with. */
export const opening = (settings = Buffer.alloc(0)): Buffer => Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(frameType.settings, 0, 0, settings)])

/** A field by its name's index, never indexed. */
const literal = (index: number[], value: string): Buffer => Buffer.from([...index, value.length, ...Buffer.from(value)])
const [get, post, https] = [0x82, 0x83, 0x87]
const target = (path: string): Buffer[] => [literal([0x04], path), literal([0x01], 'a')]

/** GET over https; its first byte alone is a head that has only begun. */
export const getHead = (path: string): Buffer => Buffer.concat([Buffer.from([get, https]), ...target(path)])
/** POST over https that waits for 100 Continue. */
export const expectantHead = (path: string): Buffer => Buffer.concat([Buffer.from([post, https]), ...target(path), literal([0x0f, 0x14], '100-continue')])
