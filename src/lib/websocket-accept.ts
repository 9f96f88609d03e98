// What a server answers to the key of a WebSocket handshake (RFC 6455 section 4.2.2).
import { createHash } from 'node:crypto'

/** RFC 6455 section 1.3. */
const suffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

export const acceptOf = (key: string): string => createHash('sha1').update(key + suffix).digest('base64')
