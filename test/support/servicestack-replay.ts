// Which recorded case a request matches: the answer of a real host depends on method, target, a few headers and the body.
import type { RawRequest } from './raw-server.ts'
import { recordedCases, type Generation, type RecordedCase } from './recordings.ts'

/** Cases of one host by what decides the answer. `overridden`: names of messages that are not answered from the recording. */
export function replayCases (generation: Generation, host: 'catalog' | 'orders', overridden: readonly string[]): Map<string, RecordedCase> {
  return casesByKey(recordedCases(generation).filter(recorded => recorded.host === host && !isOverridden(recorded, overridden)))
}

/** The recorded case a request (its target below the base path) matches. */
export function findCase (cases: ReadonlyMap<string, RecordedCase>, request: RawRequest, target: string, body: Buffer): RecordedCase | undefined {
  const recorded = cases.get(keyOf({ method: request.method, target, header: request.header, requestBody: body.toString(), chunked: request.chunked }))
  // The message that echoes the headers it saw is answered as recorded only when it saw the recorded ones.
  if (recorded?.name === 'orders/headers-seen' && JSON.stringify(recorded.requestHeaders) !== JSON.stringify(request.headers)) return undefined
  return recorded
}

/** A message given anew is not answered from the recording. */
function isOverridden (recorded: RecordedCase, names: readonly string[]): boolean {
  const target = recorded.target.toLowerCase()
  return names.some(name => target.includes(`/${name.toLowerCase()}`))
}

/** What decides the answer of a recorded case: method, target, the headers these hosts read, and the body. */
function keyOf (request: { method: string, target: string, header (name: string): string | undefined, requestBody: string, chunked: boolean }): string {
  const predefined = /^\/+(api\/|[a-z]+\/(reply|oneway)\/)/i.test(request.target)
  return [
    request.method,
    request.target,
    request.header('content-type'),
    predefined ? undefined : request.header('accept'), // Ignored on predefined routes.
    request.header('if-none-match'),
    request.header('if-modified-since'),
    request.header('x-http-method-override'),
    request.chunked,
    request.requestBody
  ].join('\n')
}

function casesByKey (cases: RecordedCase[]): Map<string, RecordedCase> {
  return new Map(cases.map(recorded => {
    const header = (name: string) => recorded.requestHeaders.find(([key]) => key.toLowerCase() === name)?.[1]
    const chunked = header('transfer-encoding') === 'chunked'
    const requestBody = chunked ? recorded.requestBody.replaceAll(/[0-9a-f]+\r\n(.*?)\r\n/gs, '$1').replace(/\r\n$/, '') : recorded.requestBody
    return [keyOf({ method: recorded.method, target: recorded.target, header, requestBody, chunked }), recorded]
  }))
}

/** What took time on the real host takes it here. */
export async function pause (recorded: RecordedCase, request: RawRequest): Promise<void> {
  if (recorded.name !== 'catalog/slow') return
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, 300)
    request.gone.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
