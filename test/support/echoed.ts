// What an echoing origin says it received.
import assert from 'node:assert/strict'
import type { RawResponse } from './http-client.ts'
import type { HeaderList } from './raw-server.ts'

export interface Seen { method: string, target: string, headers: HeaderList, chunked: boolean, body: string }
/** The request as the origin saw it; header names for `all` and `one` in lower case. */
export function seen (response: RawResponse): Seen & { all (name: string): string[], one (name: string): string | undefined } {
  assert.equal(response.status, 200, response.text())
  const echoed = response.json() as Seen
  const all = (name: string) => echoed.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)
  return { ...echoed, all, one: name => all(name)[0] }
}
