// What the command says when it only says something: help, versions, mistakes, exit codes.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { version } from '../../src/version.ts'
import { runHere } from './run-command.ts'

const commands = ['start', 'check', 'routes', 'settle', 'demo']

test('without a command: the overview, and that it is not enough', async () => {
  const { code, err } = await runHere([])
  assert.equal(code, 2)
  for (const command of commands) assert.match(err, new RegExp(`^ {2}${command} `, 'm'))
})

for (const args of [['--help'], ['-h'], ['help']]) {
  test(`postern ${args.join(' ')} shows the overview`, async () => {
    const { code, out } = await runHere(args)
    assert.equal(code, 0)
    assert.match(out, /Exit codes:/)
    assert.match(out, /Examples:/)
  })
}

for (const command of commands) {
  test(`${command} --help has usage, flags, examples and exit codes; --version works`, async () => {
    for (const args of [[command, '--help'], [command, '-h'], ['help', command]]) {
      const { code, out } = await runHere(args)
      assert.equal(code, 0)
      for (const part of [`Usage: postern ${command}`, 'Flags:', '--help', 'Examples:', 'Exit codes:']) assert.ok(out.includes(part), `${part} in ${out}`)
      for (const line of out.split('\n')) assert.ok(line.length <= 150, line)
    }
    assert.deepEqual(await runHere([command, '--version']), { code: 0, out: `${version}\n`, err: '' })
  })
}

test('--version', async () => {
  for (const flag of ['--version', '-V']) assert.deepEqual(await runHere([flag]), { code: 0, out: `${version}\n`, err: '' })
})

const mistakes: Array<[string[], RegExp]> = [
  [['strat'], /no command "strat"\. Did you mean start\?/],
  [['help', 'chek'], /Did you mean check\?/],
  [['constructor'], /no command "constructor"/],
  [['--listen', 'x'], /the command comes first/],
  [['start', '--lisen', 'x'], /unknown flag --lisen\. Did you mean --listen\?/],
  [['start', '--zzz'], /unknown flag --zzz\.$/m],
  [['start', '--constructor'], /unknown flag/],
  [['start', '-x'], /unknown flag -x/],
  [['start', '--listen'], /--listen needs a value: --listen HOST:PORT/],
  [['start', '--listen='], /--listen needs a value/],
  [['start', '--config', '--listen', 'x'], /--config needs a value/],
  [['start', '--help=yes'], /--help takes no value/],
  [['start', '--listen', 'a:1', '--listen', 'b:2'], /--listen is given twice/],
  [['start', 'postern.yaml'], /too much: postern\.yaml/],
  [['check', 'a', 'b'], /too much: b/],
  [['routes', '--grep', '['], /--grep: /],
  [['routes', '--state', 'hiden'], /no state "hiden"\. Did you mean hidden\?/],
  [['routes', '--wait', '5', '--consul', ''], /--consul needs a value/],
  [['routes', '--consul', 'http://127.0.0.1:1', '--wait', 'soon'], /--wait takes milliseconds/],
  [['routes', '--config', 'x'], /--config goes with --consul/],
  [['routes', '--consul', 'http://127.0.0.1:1', '--admin', 'x:1'], /exclude each other/]
]
for (const [args, message] of mistakes) {
  test(`a wrong command line: postern ${args.join(' ')}`, async () => {
    const { code, out, err } = await runHere(args)
    assert.equal(code, 2)
    assert.equal(out, '')
    assert.match(err, message)
    assert.match(err, /Try: postern .*--help/)
  })
}

test('wrong addresses on the command line are a wrong configuration, named by their flag', async () => {
  const { code, err } = await runHere(['start', '--config', join(import.meta.dirname, '../../config/postern.example.yaml'), '--listen', '8080', '--consul', 'localhost:8500'])
  assert.equal(code, 3)
  assert.match(err, /^--listen {2}listener\.address: must be HOST:PORT/m)
  assert.match(err, /^--consul {2}registry\.consul\.agents\[0\]/m)
})

test('check reads the services file that is named, and its mistakes are mistakes', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-check-'))
  t.after(() => rm(directory, { recursive: true }))
  const [file, services] = [join(directory, 'postern.yaml'), join(directory, 'services.yaml')]
  await writeFile(file, 'registry: {file: services.yaml}\n')
  const run = () => runHere(['check', file])
  const absent = await run()
  assert.equal(absent.code, 0)
  assert.match(absent.out, /^warning: .*services\.yaml {2}cannot be read: ENOENT\.[^]*^OK .* \(1 warning\)$/m)
  await writeFile(services, 'services:\n  - name: a\n')
  const wrong = await run()
  assert.equal(wrong.code, 3)
  assert.match(wrong.err, /services\.yaml:1:1 {2}services: is one level too many[^]*1 \| services:/)
  await writeFile(services, '- { service: a, url: "http://127.0.0.1:1", servicestack: true }\n')
  assert.match((await run()).out, /^warning: .*services\.yaml {2}a@http:\/\/127\.0\.0\.1:1 names no messages, [^]*^OK .* \(1 warning\)$/m)
  await writeFile(services, '- { service: a, url: "http://127.0.0.1:1", messages: [A] }\n')
  assert.deepEqual([(await run()).code, (await run()).out.includes('warning')], [0, false])
})

test('check: OK with a summary, warnings, or every problem', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-check-'))
  t.after(() => rm(directory, { recursive: true }))
  const file = join(directory, 'postern.yaml')
  await writeFile(file, 'registry: {consul: {}}\n')
  assert.deepEqual(await runHere(['check', file]), {
    code: 0,
    out: `OK ${file}\n  listens on  http://127.0.0.1:8080, admin 127.0.0.1:9901\n  registries  Consul http://127.0.0.1:8500 (api)\n  settings    0 upstreams, 0 messages, 0 prefixes\n`,
    err: ''
  })
  await writeFile(file, 'upstreams: {a: {endpoints: [https://10.0.0.1], tls: {verify: false}}}\n')
  const doubtful = await runHere(['check', file])
  assert.equal(doubtful.code, 0)
  assert.match(doubtful.out, /^warning: .*postern\.yaml:1:62 {2}upstreams\.a\.tls\.verify: /)
  assert.match(doubtful.out, /^OK .* \(1 warning\)$/m)
  await writeFile(file, 'listner: {}\ndrainMs: x\n')
  const wrong = await runHere(['check', file])
  assert.equal(wrong.code, 3)
  assert.match(wrong.err, /postern\.yaml:1:1 {2}listner: [\s\S]*postern\.yaml:2:10 {2}drainMs: [\s\S]*2 problems/)
  assert.equal((await runHere(['check', join(directory, 'none')])).code, 3)
})
