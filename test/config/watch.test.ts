// A changed configuration is noticed however it is replaced.
import { test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { watchConfig } from '../../src/config/watch.ts'
import { until } from '../support/until.ts'

async function watched (t: TestContext, prepare: (directory: string) => Promise<string>) {
  const directory = await mkdtemp(join(tmpdir(), 'postern-watch-'))
  const file = await prepare(directory)
  const changes: Array<{ why: string, text: string | undefined }> = []
  const watch = watchConfig(file, why => { void readFile(file, 'utf8').then(text => changes.push({ why, text })) }, { settleMs: 10, pollMs: 100 })
  t.after(async () => {
    watch.close()
    await rm(directory, { recursive: true })
  })
  const saw = (text: string) => until(`"${text}" to be noticed`, async () => changes.some(change => change.text === text))
  return { directory, file, changes, saw }
}
const plain = async (directory: string) => {
  const file = join(directory, 'postern.yaml')
  await writeFile(file, 'one')
  return file
}

test('written in place, and again', async t => {
  const { file, saw } = await watched(t, plain)
  await writeFile(file, 'two!')
  await saw('two!')
  await writeFile(file, 'three')
  await saw('three')
})

test('files that secrets came from count too, for as long as they are named', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-watch-'))
  const [one, two] = [join(directory, 'token'), join(directory, 'other')]
  await Promise.all([writeFile(one, 'a'), writeFile(two, 'a')])
  let changes = 0
  const watch = watchConfig(undefined, () => changes++, { settleMs: 10, pollMs: 50 })
  t.after(async () => {
    watch.close()
    await rm(directory, { recursive: true })
  })
  // Whole: who reads it in between reads the old one.
  const replace = async (file: string, text: string) => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  watch.follow([one, two])
  await replace(one, 'new')
  await until('the token to be noticed', async () => changes === 1)
  watch.follow([two])
  await replace(one, 'newer!')
  await replace(two, 'new')
  await until('the other to be noticed', async () => changes > 1)
  assert.equal(changes, 2)
})

test('replaced by a rename, as editors do, also after it was gone', async t => {
  const { directory, file, saw } = await watched(t, plain)
  await writeFile(join(directory, '.tmp'), 'two!')
  await rename(join(directory, '.tmp'), file)
  await saw('two!')
  await unlink(file)
  await writeFile(join(directory, '.tmp'), 'three')
  await rename(join(directory, '.tmp'), file)
  await saw('three')
})

test('swapped behind a symbolic link, as Kubernetes does', async t => {
  const { directory, saw } = await watched(t, async directory => {
    await mkdir(join(directory, '..v1'))
    await writeFile(join(directory, '..v1/postern.yaml'), 'one')
    await symlink('..v1', join(directory, '..data'))
    await symlink('..data/postern.yaml', join(directory, 'postern.yaml'))
    return join(directory, 'postern.yaml')
  })
  await mkdir(join(directory, '..v2'))
  await writeFile(join(directory, '..v2/postern.yaml'), 'two')
  await symlink('..v2', join(directory, '..data_tmp'))
  await rename(join(directory, '..data_tmp'), join(directory, '..data'))
  await saw('two')
})

test('other files of the directory are no change', async t => {
  const { directory, file, changes, saw } = await watched(t, plain)
  await writeFile(join(directory, 'other'), 'x')
  await writeFile(file, 'two!')
  await saw('two!')
  assert.deepEqual(changes.map(({ text }) => text), ['two!'])
})

test('SIGHUP asks for a load, file or no file', async t => {
  const seen: string[] = []
  const watch = watchConfig(undefined, why => seen.push(why))
  t.after(() => watch.close())
  process.kill(process.pid, 'SIGHUP')
  await until('the signal', async () => seen.length > 0)
  assert.deepEqual(seen, ['signal'])
})
