// 20,000 messages over 2,000 endpoints: built, swapped and looked up without a request in flight noticing.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startGateway } from '../support/gateway.ts'
import { messagesPerService, revisions, services, startLargeCatalog } from '../support/large-catalog.ts'
import { until } from '../support/until.ts'

const swaps = 5

/**
 * Longest time this thread was at work in one turn of its loop while `act` ran, in milliseconds of CPU: what a request in flight has to
 * wait for. CPU time, because wall time on a busy machine counts other processes too.
 */
async function longestTurnMs (act: () => Promise<void>): Promise<number> {
  let longest = 0
  let running = true
  let { user, system } = process.threadCpuUsage()
  const look = () => {
    const now = process.threadCpuUsage()
    longest = Math.max(longest, now.user - user + now.system - system)
    user = now.user
    system = now.system
    if (running) setImmediate(look)
  }
  setImmediate(look)
  await act()
  running = false
  return longest / 1_000
}

test('the swap of a large table delays no request in flight', { timeout: 300_000 }, async t => {
  const catalog = await startLargeCatalog()
  try {
    await using gateway = await startGateway({
      registry: { consul: { agents: [catalog.url], services: ['api'] }, allowedNetworks: ['127.0.0.0/8'] }
    } as never)
    await until('the whole table', async () => await gateway.metric('postern_routes', { state: 'routed' }) === services * messagesPerService, { timeoutMs: 150_000, everyMs: 250 })
    const status = async (revision: number) => (await gateway.get(`/json/reply/Message${services - 1}xr${revision}`)).status
    assert.equal(await status(0), 200)
    assert.equal(await status(1), 404)
    let accepted = -1
    await until('every endpoint has been asked for its list', async () => {
      const same = accepted === (await catalog.stats()).accepted
      accepted = (await catalog.stats()).accepted
      return same
    }, { timeoutMs: 60_000, everyMs: 500 })
    catalog.load(gateway.url)
    const more = async (calls: number) => {
      const before = (await catalog.stats()).calls
      await until(`${calls} calls`, async () => (await catalog.stats()).calls > before + calls)
    }
    await more(3_000)
    const quiet: number[] = []
    const swapping: number[] = []
    for (let swap = 1; swap <= swaps; swap++) {
      const [before, revision] = [(swap - 1) % revisions, swap % revisions]
      quiet.push(await longestTurnMs(async () => { await more(1_500) }))
      swapping.push(await longestTurnMs(async () => {
        catalog.list(revision)
        await until(`revision ${revision}`, async () => await status(revision) === 200 && await status(before) === 404)
      }))
    }
    assert.deepEqual((await catalog.stats()).failures, [])
    // Work on the whole table, or on much of it now and then, would be in most of them; the garbage collector is in one or the other.
    const [without, median] = [Math.max(...quiet), swapping.toSorted((a, b) => a - b)[Math.floor(swaps / 2)]!]
    t.diagnostic(`longest turn of the loop: ${swapping.map(ms => ms.toFixed(1)).join(', ')} ms while swapping, ${quiet.map(ms => ms.toFixed(1)).join(', ')} ms without`)
    // Ten are what a swap may add to a request in flight.
    assert.ok(median <= without + 10, `longest turn of the loop ${median.toFixed(1)} ms while swapping, ${without.toFixed(1)} ms without`)
    assert.ok(await gateway.metric('postern_table_swaps_total') >= swaps)
  } finally {
    await catalog.close()
  }
})
