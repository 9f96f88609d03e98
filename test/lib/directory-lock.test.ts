import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DirectoryInUse, lockDirectory } from '../../src/lib/directory-lock.ts'

async function directoryOf (t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-lock-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}
const isHeldBy = (holder: string) => (error: unknown) => error instanceof DirectoryInUse && error.holder === holder

/** Another process that holds it. Killed, and gone, with `kill`. */
async function holdElsewhere (t: TestContext, directory: string): Promise<{ kill (): Promise<void> }> {
  const module = new URL('../../src/lib/directory-lock.ts', import.meta.url).href
  const child = spawn(process.execPath, ['--input-type=module', '-e', `import { lockDirectory } from ${JSON.stringify(module)}; await lockDirectory(process.argv[1], 'the first'); console.log('held'); setInterval(() => {}, 1_000)`, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const kill = async () => { child.kill('SIGKILL'); await ended }
  t.after(kill)
  await once(child.stdout, 'data')
  return { kill }
}

test('one at a time, and whoever comes later is told who holds it; released, it leaves nothing behind', async t => {
  const directory = join(await directoryOf(t), 'made', 'when', 'missing')
  const lock = await lockDirectory(directory, 'the first')
  await assert.rejects(lockDirectory(directory, 'the second'), isHeldBy('the first'))
  await lock.release()
  assert.deepEqual(await readdir(directory), [])
  const again = await lockDirectory(directory, 'the second')
  await assert.rejects(lockDirectory(directory, 'the third'), isHeldBy('the second'))
  await again.release()
})

test('a process that is killed holds nothing any more', async t => {
  const directory = await directoryOf(t)
  const holder = await holdElsewhere(t, directory)
  await assert.rejects(lockDirectory(directory, 'the second'), isHeldBy('the first'))
  await holder.kill()
  assert.deepEqual(await readdir(directory), ['lock.sock'], 'what it left')
  const lock = await lockDirectory(directory, 'the second')
  assert.deepEqual(await readdir(directory), ['lock.sock'])
  await lock.release()
})

test('of two that come at once, one gets it, also where a killed one has left its socket', async t => {
  const directory = await directoryOf(t)
  const holder = await holdElsewhere(t, directory)
  await holder.kill()
  const results = await Promise.allSettled(Array.from({ length: 2 }, (_, n) => lockDirectory(directory, `number ${n}`)))
  const taken = results.flatMap(result => result.status === 'fulfilled' ? [result.value] : [])
  assert.deepEqual([taken.length, results.filter(result => result.status === 'rejected' && !(result.reason instanceof DirectoryInUse))], [1, []])
  await taken[0]!.release()
})

test('a path that is longer than those of sockets may be', { skip: process.platform === 'linux' ? false : 'Linux only' }, async t => {
  const directory = join(await directoryOf(t), 'a'.repeat(100), 'b'.repeat(100))
  const lock = await lockDirectory(directory, 'the first')
  await assert.rejects(lockDirectory(directory, 'the second'), isHeldBy('the first'))
  await lock.release()
})

test('a directory that cannot be made is the file system\'s error', async () => {
  await assert.rejects(lockDirectory('/dev/null/state', 'the first'), (error: NodeJS.ErrnoException) => error.code === 'ENOTDIR')
})
