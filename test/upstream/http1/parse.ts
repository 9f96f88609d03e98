// Runs the response parser over pieces of bytes and writes down what it said.
import { ProtocolError } from '../../../src/upstream/http1/errors.ts'
import type { ResponseHead } from '../../../src/upstream/http1/response-head.ts'
import { ResponseParser } from '../../../src/upstream/http1/response-parser.ts'

export interface Parsed {
  readonly informational: ReadonlyArray<{ status: number, headers: string[] }>
  readonly head: ResponseHead | undefined
  /** latin1 */
  readonly body: string
  readonly trailers: readonly string[]
  /** `cut`: the bytes ended before the answer did. Otherwise what the parser refused. */
  readonly outcome: 'whole' | 'cut' | ProtocolError
  readonly reusable: boolean
}

export interface ParseOptions {
  readonly headOnly?: boolean
  /** Where the bytes are split. */
  readonly splits?: readonly number[]
  /** Whether the endpoint closes behind them. */
  readonly close?: boolean
}

export function parse (text: string, { headOnly = false, splits = [], close = false }: ParseOptions = {}): Parsed {
  const informational: Array<{ status: number, headers: string[] }> = []
  let head: ResponseHead | undefined
  const body: Buffer[] = []
  let trailers: readonly string[] = []
  let outcome: Parsed['outcome'] = 'cut'
  let reusable = false
  const parser = new ResponseParser({
    onInformational: ({ status, headers }) => informational.push({ status, headers }),
    onHead: one => { head = one },
    onData: piece => body.push(piece),
    onText: text => body.push(Buffer.from(text, 'latin1')),
    onComplete: (list, again) => {
      outcome = 'whole'
      trailers = list
      reusable = again
    }
  })
  parser.expect(headOnly)
  const bytes = Buffer.from(text, 'latin1')
  // The same memory for every piece, as the sockets have it: what is kept must have been copied.
  const shared = Buffer.alloc(bytes.length)
  try {
    let from = 0
    for (const to of [...splits, bytes.length]) {
      if (to === from) continue
      shared.fill(0x21)
      bytes.copy(shared, 0, from, to)
      parser.push(shared, to - from)
      // What comes behind an answer in another piece is the connection's to refuse.
      if ((outcome as string) === 'whole') break
      from = to
    }
    if (close && outcome === 'cut') parser.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    outcome = error
  }
  return { informational, head, body: Buffer.concat(body).toString('latin1'), trailers, outcome, reusable }
}
