// A proxy in front of a Consul agent that breaks, delays or falsifies its answers to the watch, as told.
import http from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * `empty`: a calm `200 []` with a newer index. `older`: one with an older index. `forget-one`: the registration `forgets` is left out under the index that named it; `drop-one`: the
 * same under a newer index, which is how Consul tells a deregistration. `malformed`: entries of every wrong shape are added. `half`: the
 * connection is cut in the middle of the body. `slow`: later than a blocking query of a second waits. `hang`: never.
 */
export type Mood = 'honest' | 'error' | 'half' | 'html' | 'slow' | 'hang' | 'empty' | 'forget-one' | 'drop-one' | 'older' | 'malformed' | 'refuse'

export interface LyingProxy extends AsyncDisposable {
  readonly url: string
  /** Which agent it stands before. */
  agent: string
  mood: Mood
  /** The only service whose answers the mood spoils; undefined: all. */
  only: string | undefined
  /** Id of the registration that `forget-one` and `drop-one` leave out. */
  forgets: string
  /** Answers given to the watch in this mood so far. */
  answered (mood: Mood): number
}

const slowMs = 1_500
const broken = [null, 17, 'text', {}, { Service: null }, { Service: { ID: '' } }, { Node: { Node: 'vm' }, Service: { ID: 'no-address', Service: 'api', Address: 'http://', Port: 'x' }, Checks: 'none' }]

export async function startLyingProxy (agent: string): Promise<LyingProxy> {
  const counts = new Map<Mood, number>()
  const state = { agent, mood: 'honest' as Mood, only: undefined as string | undefined, forgets: '' }
  const server = http.createServer(async (request, response) => {
    const isWatch = new RegExp(`^/v1/health/service/${state.only ?? ''}`).test(request.url!)
    // What breaks does so at once; a question that waits in the agent gets the mood of its answer.
    const early = isWatch ? state.mood : 'honest'
    if (early === 'refuse' || early === 'error' || early === 'html') return refuse(early, response)
    const answer = await fetch(state.agent + (early === 'honest' ? request.url! : request.url!.replace(/([?&])index=\d+/, '$1x=0')), { headers: request.headers['x-consul-token'] === undefined ? {} : { 'x-consul-token': String(request.headers['x-consul-token']) } }).catch(() => undefined)
    if (answer === undefined) return response.destroy()
    let body = await answer.text()
    let index = Number(answer.headers.get('x-consul-index') ?? 1)
    const mood = isWatch ? state.mood : 'honest'
    counts.set(mood, (counts.get(mood) ?? 0) + 1)
    if (mood === 'slow') await new Promise(resolve => setTimeout(resolve, slowMs))
    if (mood === 'empty') { body = '[]'; index += 1_000 + counts.get(mood)! }
    if (mood === 'hang') return
    if (mood === 'forget-one' || mood === 'drop-one') body = JSON.stringify((JSON.parse(body) as Array<{ Service: { ID: string } }>).filter(({ Service }) => Service.ID !== state.forgets))
    if (mood === 'drop-one') index += 1_000
    if (mood === 'older') { body = '[]'; index = 2 }
    if (mood === 'malformed') { body = JSON.stringify([...broken, ...JSON.parse(body) as unknown[]]); index += 1_000_000 + counts.get(mood)! }
    const bytes = Buffer.from(body)
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json', 'x-consul-index': String(index), 'x-consul-knownleader': 'true', 'content-length': bytes.length })
    if (mood === 'half') response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy())
    else response.end(bytes)
  })
  const refuse = (mood: Mood, response: http.ServerResponse) => {
    counts.set(mood, (counts.get(mood) ?? 0) + 1)
    if (mood === 'refuse') response.destroy()
    else if (mood === 'error') response.writeHead(500).end('rpc error: No cluster leader')
    else response.writeHead(200, { 'content-type': 'text/html', 'x-consul-index': '9' }).end('<html>login</html>')
  }
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get agent () { return state.agent },
    set agent (url) { state.agent = url },
    get mood () { return state.mood },
    // Questions that wait are cut, so that the new mood shows at once.
    set mood (mood) { state.mood = mood; server.closeAllConnections() },
    get only () { return state.only },
    set only (service) { state.only = service },
    get forgets () { return state.forgets },
    set forgets (id) { state.forgets = id },
    answered: mood => counts.get(mood) ?? 0,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}
