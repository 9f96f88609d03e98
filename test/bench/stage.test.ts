// A stage leaves nothing behind: no process, no child of one, no file.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { createCpuClock } from '../../bench/support/cpu-time.ts'
import { waitUntil } from '../../bench/support/network.ts'
import { openStage } from '../../bench/support/stage.ts'

/** Prints its child's process id, then both do nothing for an hour. */
const parent = 'const c = require("node:child_process").spawn("sleep", ["3600"]); console.log(c.pid); setTimeout(() => {}, 3600000)'

const gone = (pid: number) => () => {
  try {
    process.kill(pid, 0)
    return Promise.resolve('it still runs')
  } catch {
    return Promise.resolve(undefined) // No such process: what was to be shown.
  }
}

test('closing ends the processes, their children, and the directory', async () => {
  const stage = openStage()
  const started = stage.start('parent', process.execPath, ['-e', parent])
  await waitUntil('the child', () => Promise.resolve(started.output.includes('\n') ? undefined : 'no output'), started)
  await stage.close()
  assert.match(started.ended ?? '', /SIGKILL/)
  assert.equal(existsSync(stage.directory), false)
  await waitUntil('the child to end', gone(Number(started.output)), undefined, 20_000)
})

test('a run that is interrupted clears its stage', { timeout: 120_000 }, async () => {
  const script = `
    import { exitOnSignals, openStage } from ${JSON.stringify(new URL('../../bench/support/stage.ts', import.meta.url).href)}
    exitOnSignals()
    const stage = openStage()
    const { pid } = stage.start('sleeper', 'sleep', ['3600'])
    console.log(JSON.stringify({ pid, directory: stage.directory }))
    setTimeout(() => {}, 60_000)`
  const run = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [text] = await once(run.stdout, 'data') as [Buffer]
  const { pid, directory } = JSON.parse(text.toString()) as { pid: number, directory: string }
  assert.equal(existsSync(directory), true)
  run.kill('SIGINT')
  assert.deepEqual(await once(run, 'exit'), [130, null])
  await waitUntil('the sleeper to end', gone(pid), undefined, 20_000)
  assert.equal(existsSync(directory), false)
})

test('a program that is missing is told as such', async () => {
  const stage = openStage()
  const started = stage.start('nothing', '/does/not/exist', [])
  assert.equal(await started.exit, -1)
  assert.match(started.ended ?? '', /could not be started/)
  await stage.close()
})

test('the clock sees the work of a process and of its children', { skip: process.platform !== 'linux' }, async () => {
  const cpuTime = createCpuClock()
  const stage = openStage()
  const busy = 'const end = process.cpuUsage().user + 150000; while (process.cpuUsage().user < end);'
  const started = stage.start('busy', process.execPath, ['-e', `require("node:child_process").execFileSync(process.execPath, ["-e", ${JSON.stringify(busy)}]); ${busy} console.log("done"); setTimeout(() => {}, 3600000)`])
  await waitUntil('the work', () => Promise.resolve(started.output.includes('done') ? undefined : 'busy'), started)
  assert.ok(cpuTime(started.pid) >= 0.28, `${cpuTime(started.pid)} s`)
  await stage.close()
})
