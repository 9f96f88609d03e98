// How an answer is written for the second level, and when what was found there is no answer of ours. Pure.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** An answer as it stands in the second level. Times are of the clock of the gateway that wrote it. */
export interface Frame {
  /** Primary key and variant, or digests of them that are longer than the one it stands under. */
  readonly key: string
  readonly variant: string
  /** Request headers that select it, lower-case. */
  readonly vary: readonly string[]
  readonly status: number
  readonly reason: string
  /** Flat list, as received. */
  readonly headers: readonly string[]
  /** Milliseconds since the epoch. */
  readonly requestAtMs: number
  readonly responseAtMs: number
  readonly endpointUrl: string | undefined
  /** Id of the last purge that its gateway knew of when it asked for it. */
  readonly mark: string
  /** Milliseconds since the epoch; and how long it was to be kept from then on. */
  readonly writtenAtMs: number
  readonly usefulMs: number
  readonly body: Buffer
}

/** Of a key or variant: clients' tokens and cookies may be in it, and are nobody's who reads the server. 256 bits. */
export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** What stands under a primary key whose answers vary: by which headers. */
export interface Pointer { readonly vary: readonly string[] }

/** version, kind, CRC-32 of what follows, length of the head (JSON), length of the body. */
const prefixBytes = 14
const version = 1
const kinds = { answer: 1, pointer: 2 } as const
const noBody = Buffer.alloc(0)

export function encodeFrame ({ body, ...head }: Frame): Buffer {
  return packed(kinds.answer, head, body)
}

export function encodePointer (pointer: Pointer): Buffer {
  return packed(kinds.pointer, pointer, noBody)
}

function packed (kind: number, head: object, body: Buffer): Buffer {
  const text = Buffer.from(JSON.stringify(head))
  const whole = Buffer.allocUnsafe(prefixBytes + text.length + body.length)
  whole[0] = version
  whole[1] = kind
  whole.writeUInt32BE(text.length, 6)
  whole.writeUInt32BE(body.length, 10)
  text.copy(whole, prefixBytes)
  body.copy(whole, prefixBytes + text.length)
  whole.writeUInt32BE(crc32(whole.subarray(6)), 2)
  return whole
}

/** undefined: cut short, changed, of another version, or somebody else's. */
export function decodeValue (value: Buffer): { readonly answer: Frame } | { readonly pointer: Pointer } | undefined {
  if (value.length < prefixBytes || value[0] !== version) return undefined
  const headEnd = prefixBytes + value.readUInt32BE(6)
  if (headEnd + value.readUInt32BE(10) !== value.length || crc32(value.subarray(6)) !== value.readUInt32BE(2)) return undefined
  const head = parsed(value.toString('utf8', prefixBytes, headEnd))
  if (head === undefined) return undefined
  if (value[1] === kinds.pointer) return isNames(head['vary']) ? { pointer: { vary: head['vary'] } } : undefined
  return value[1] === kinds.answer && isAnswer(head) ? { answer: { ...head, body: value.subarray(headEnd) } } : undefined
}

function parsed (text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value as Record<string, unknown> : undefined
  } catch {
    return undefined // A right checksum over something that is not ours.
  }
}

/** Whoever can write there could write heads that no origin could have sent: those are no answers. */
function isAnswer (head: Record<string, unknown>): head is Record<string, unknown> & Omit<Frame, 'body'> {
  const { key, variant, vary, status, reason, headers, endpointUrl, mark } = head
  const numbers = [head['requestAtMs'], head['responseAtMs'], head['writtenAtMs'], head['usefulMs']]
  return typeof key === 'string' && typeof variant === 'string' && isNames(vary) && isLine(reason) &&
    typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599 &&
    Array.isArray(headers) && headers.length % 2 === 0 && headers.every(isLine) &&
    (endpointUrl === undefined || typeof endpointUrl === 'string') && typeof mark === 'string' && isId(mark) && numbers.every(Number.isFinite)
}

const isLine = (text: unknown): text is string => typeof text === 'string' && !/[\r\n\0]/.test(text)
const isNames = (names: unknown): names is string[] => Array.isArray(names) && names.every(isLine)

/** Ids of the stream of purges: milliseconds and a number, both of the server's making. */
export const isId = (id: string): boolean => /^\d{1,16}-\d{1,16}$/.test(id)

/** Negative: `a` came before `b`. */
export function compareIds (a: string, b: string): number {
  const [aMs = '', aNumber = ''] = a.split('-')
  const [bMs = '', bNumber = ''] = b.split('-')
  return Number(aMs) - Number(bMs) || Number(aNumber) - Number(bNumber)
}
