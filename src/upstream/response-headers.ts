// The response head as undici read it -> end-to-end headers in the service's order and letter case.
import { connectionOptions, without } from '../exchange/headers.ts'
import { latin1 } from '../lib/latin1.ts'

/** RFC 9110 section 7.6.1, by length of the name: most names are passed over by one comparison of numbers. */
const hopByHopByLength: ReadonlyArray<readonly string[] | undefined> = (() => {
  const byLength: string[][] = []
  for (const name of ['te', 'upgrade', 'connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'transfer-encoding']) (byLength[name.length] ??= []).push(name)
  return byLength
})()

function isHopByHop (name: string): boolean {
  const candidates = hopByHopByLength[name.length]
  return candidates !== undefined && candidates.includes(name.toLowerCase())
}

/** Header bytes are kept as they are: latin1 in, latin1 out. */
export function readResponseHeaders (raw: readonly Buffer[]): string[] {
  const headers: string[] = []
  let named: string[] | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = latin1(raw[i]!)
    if (isHopByHop(name)) {
      if (name.length === 10 && name.toLowerCase() === 'connection') named = connectionOptions(latin1(raw[i + 1]!), named)
      continue
    }
    headers.push(name, latin1(raw[i + 1]!))
  }
  return named === undefined ? headers : without(headers, named)
}

const writable = /^[\t\x20-\x7e]*$/
const unwritable = /[^\t\x20-\x7e\x80-\xff]/g

/** The reason phrase as it can be written again: undici reads it as UTF-8 and lets control characters pass, which Node refuses to send. */
export function readReason (reason: string): string {
  if (writable.test(reason)) return reason
  return latin1(Buffer.from(reason.replaceAll('\ufffd', '?'))).replace(unwritable, ' ')
}

export function isEventStream (headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length === 12 && headers[i]!.toLowerCase() === 'content-type') return headers[i + 1]!.toLowerCase().startsWith('text/event-stream')
  }
  return false
}
