// The request of a stored answer, kept to be sent again after a purge: with its client's words, but nothing of his exchange; and counted.
import { anew } from '../exchange/anew.ts'
import type { Asked } from './asked.ts'
import type { Stored } from './stored.ts'

export interface Again {
  /** What it takes in memory. */
  readonly bytes: number
  /** The answer was purged: it is asked for in the background. */
  ask (purged: Stored): void
}

/** Of the objects of a request, without its texts. */
const overheadBytes = 2_000

export function askAgain (asked: Asked, ask: (asked: Asked, purged: Stored) => void): Again {
  const kept: Asked = { ...asked, exchange: anew(asked.exchange), entry: undefined }
  return { bytes: overheadBytes + bytesOf(asked), ask: purged => { ask(kept, purged) } }
}

/** Of fields, some are also in what the cache read of them; of the target, in several spellings. */
function bytesOf ({ exchange: { upstreamRequest: { headers, path, body } }, request: { keyParts, identity } }: Asked): number {
  let bytes = path.length * 4 + (keyParts.length + identity.length) * 2 + (body.kind === 'held' ? body.bytes.length : 0)
  for (const { length } of headers) bytes += length + 32
  return bytes
}
