#!/usr/bin/env node
// The launcher: finds a Node that can run Postern, and runs it. Plain JavaScript that Node 14 reads too, to be told that it is too old.
import childProcess from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const launcher = fileURLToPath(import.meta.url)
const root = path.join(path.dirname(launcher), '..')
const compiled = path.join(root, 'dist', 'main.js')
const source = path.join(root, 'src', 'main.ts')
// In a clone the source runs as it is; an installed package has only what was compiled from it.
const main = fs.existsSync(source) ? source : compiled
// The dev dependency `node`: a clone runs with it on a machine whose own Node is too old.
const beside = path.join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')

function isRecent (version) {
  const parts = version.split('.').map(Number)
  return parts[0] > 24 || (parts[0] === 24 && parts[1] >= 12)
}

function run () {
  // A path is no URL: on Windows C: would be read as a scheme.
  import(pathToFileURL(main).href).catch(function (error) {
    console.error(error)
    process.exit(1)
  })
}

/** Runs the other Node in place of this one: streams, signals and exit code are its own. */
function runWith (node) {
  const child = childProcess.spawn(node, [main].concat(process.argv.slice(2)), { stdio: 'inherit' })
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']
  // A terminal sends Ctrl-C to both processes, so the child may get it twice: it takes two in quick succession for one.
  signals.forEach(function (signal) { process.on(signal, function () { child.kill(signal) }) })
  child.on('error', function (error) {
    console.error('postern: cannot run ' + node + ': ' + error.message)
    process.exit(1)
  })
  child.on('exit', function (code, signal) {
    if (signal === null) process.exit(code)
    signals.forEach(function (name) { process.removeAllListeners(name) })
    process.kill(process.pid, signal)
  })
}

if (isRecent(process.versions.node)) run()
else if (fs.existsSync(beside)) runWith(beside)
else {
  console.error('postern: Node.js ' + process.versions.node + ' is too old: 24.12 or newer is needed.\n' +
    'Install it from https://nodejs.org, or run postern with one you have: /path/to/node ' + launcher)
  process.exit(1)
}
