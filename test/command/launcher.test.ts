// bin/postern.js: which Node runs what, in a clone and installed, on a new and on an old Node.
import { test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../support/until.ts'
import { root, startChild } from './run-command.ts'

/** Makes the Node that runs the launcher, and only it, say that it is an old one. */
const old = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent("if (/postern\\.js$/.test(process.argv[1])) Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.0' } })")}` }

/** A package with the launcher and a program that says where it ran from and waits for a signal if asked. */
async function packageOf (t: TestContext, files: { readonly source?: true, readonly compiled?: true, readonly nodeBeside?: true }) {
  const directory = await mkdtemp(join(tmpdir(), 'postern-launcher-'))
  t.after(() => rm(directory, { recursive: true }))
  for (const folder of ['bin', 'src', 'dist', 'node_modules/node/bin']) await mkdir(join(directory, folder), { recursive: true })
  await copyFile(join(root, 'bin/postern.js'), join(directory, 'bin/postern.js'))
  await writeFile(join(directory, 'package.json'), '{"type":"module"}')
  const program = (name: string) => `
    console.log('${name}', ...process.argv.slice(2))
    if (process.argv[2] === 'wait') {
      const timer = setInterval(() => {}, 1000)
      process.on('SIGTERM', () => { clearInterval(timer); process.exitCode = 7 })
      console.log('waiting')
    }
    if (process.argv[2] === 'exit') process.exit(5)`
  if (files.source === true) await writeFile(join(directory, 'src/main.ts'), program('source'))
  if (files.compiled === true) await writeFile(join(directory, 'dist/main.js'), program('compiled'))
  if (files.nodeBeside === true) {
    await writeFile(join(directory, 'node_modules/node/bin/node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`)
    await chmod(join(directory, 'node_modules/node/bin/node'), 0o755)
  }
  return { script: join(directory, 'bin/postern.js') }
}
const env = { ...process.env, NODE_OPTIONS: '' }

test('a clone runs its source, an installed package what was compiled', async t => {
  await using clone = startChild(['a', 'b c'], { ...await packageOf(t, { source: true, compiled: true }), env })
  assert.equal(await clone.ended, 0)
  assert.equal(clone.out(), 'source a b c\n')
  await using installed = startChild(['exit'], { ...await packageOf(t, { compiled: true }), env })
  assert.equal(await installed.ended, 5)
  assert.equal(installed.out(), 'compiled exit\n')
})

test('an old Node hands over to the one beside: arguments, signals and exit codes pass', async t => {
  const files = await packageOf(t, { source: true, nodeBeside: true })
  await using ending = startChild(['exit', 'x'], { ...files, env: { ...env, ...old } })
  assert.equal(await ending.ended, 5)
  assert.equal(ending.out(), 'source exit x\n')
  await using waiting = startChild(['wait'], { ...files, env: { ...env, ...old } })
  await until('it to wait', () => waiting.out().includes('waiting'))
  waiting.process.kill('SIGTERM')
  assert.equal(await waiting.ended, 7)
  await using cut = startChild(['wait'], { ...files, env: { ...env, ...old } })
  await until('it to wait', () => cut.out().includes('waiting'))
  cut.process.kill('SIGINT')
  assert.equal(await cut.ended, 'SIGINT')
})

test('an old Node with none beside says what to do', async t => {
  await using child = startChild(['start'], { ...await packageOf(t, { compiled: true }), env: { ...env, ...old } })
  assert.equal(await child.ended, 1)
  assert.match(child.err(), /Node\.js 20\.19\.0 is too old: 24\.12 or newer is needed/)
  assert.equal(child.out(), '')
})
