// Sends requests at a steady rate, whether or not earlier ones were answered, and prints how long each took, as one line of JSON.
// Arguments: port, requests per second, seconds, paths to call in turn (separated by commas).
import { Agent, request } from 'node:http'

const [port = '', rate = '', seconds = '', paths = ''] = process.argv.slice(2)
const targets = paths.split(',')
const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const total = Number(rate) * Number(seconds)
const latencies: number[] = []
const failures: string[] = []
const startedAtMs = performance.now()
let sent = 0

const settle = (): void => {
  if (latencies.length + failures.length < total) return
  agent.destroy()
  process.stdout.write(`${JSON.stringify({ latencies, failures: failures.slice(0, 10), failed: failures.length })}\n`)
}

const send = (): void => {
  const path = targets[sent++ % targets.length]!
  const at = performance.now()
  const fail = (reason: string) => { failures.push(`${path}: ${reason}`); settle() }
  const outgoing = request({ host: '127.0.0.1', port: Number(port), path, agent, timeout: 10_000 }, incoming => {
    incoming.resume()
    incoming.on('end', () => {
      if (incoming.statusCode !== 200) return fail(`status ${incoming.statusCode}`)
      latencies.push(performance.now() - at)
      settle()
    })
  })
  outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 10 s')))
  outgoing.on('error', error => fail(error.message))
  outgoing.end()
}

const timer = setInterval(() => {
  const due = Math.min(total, Math.floor((performance.now() - startedAtMs) / 1_000 * Number(rate)))
  while (sent < due) send()
  if (sent === total) clearInterval(timer)
}, 1)
