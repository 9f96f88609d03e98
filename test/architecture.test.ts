// The layer table of docs/ARCHITECTURE.md, executable: who may import whom, who owns which library, how long a file may be.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import ts from 'typescript'

const root = join(import.meta.dirname, '..')
const maxLines = 300
/** Files that may be longer, each with its reason. */
const longFiles: Record<string, string> = {}
/** Types only, so that neighbours of one layer can speak of the same things. */
const words = ['src/registry/registration.ts', 'src/routing/plan.ts']
/** Programs of their own: the module is the composition root. */
const programs: Record<string, string> = { 'src/control/thread.ts': 'what the control plane\'s thread runs' }

interface Row { readonly layer: number, readonly modules: readonly string[], readonly owners: ReadonlyMap<string, readonly string[]> }

/** Rows of the table: `| 3 | `registry`, `upstream` | what | consul (registry), opossum (upstream) |`. */
function readLayers (): Row[] {
  const table = readFileSync(join(root, 'docs/ARCHITECTURE.md'), 'utf8').split('## Layers')[1] ?? ''
  return [...table.matchAll(/^\| (\d+) \|([^|]+)\|[^|]+\|([^|]*)\|$/gm)].map(([, layer, folders, libraries]) => {
    const modules = [...folders!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!.replace(/\/$|\.ts$/g, ''))
    const owners = new Map<string, string[]>()
    // Libraries before a bracket belong to the folders in it; without one, to every folder of the row.
    for (const [, names, folder] of libraries!.matchAll(/([^()]+)(?:\(([^)]+)\))?/g)) {
      for (const name of names!.split(/[,+\s]+/).filter(text => text !== '')) owners.set(name, folder === undefined ? modules : folder.split(/,\s*/))
    }
    return { layer: Number(layer), modules, owners }
  })
}

interface SourceFile { readonly path: string, readonly module: string, readonly text: string, readonly imports: readonly string[], readonly libraries: readonly string[] }

/** Top folder below src, or the name of a file right in it. */
const moduleOf = (path: string) => relative('src', path).split(sep)[0]!.replace(/\.ts$/, '')
/** `consul` of `consul/lib/x`, `@fastify/http-proxy` of the same. */
const packageOf = (name: string) => name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/')
const isBuiltin = (name: string) => name.startsWith('node:') || builtinModules.includes(name)

function readSource (path: string): SourceFile {
  const text = readFileSync(path, 'utf8')
  // Static, type-only and dynamic imports alike; and files that are started as threads.
  const imported = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName)
  const started = [...text.matchAll(/new URL\('(\.[^']+\.[jt]s)'/g)].map(([, name]) => name!)
  const all = [...imported, ...started]
  return {
    path: relative(root, path),
    module: moduleOf(relative(root, path)),
    text,
    imports: [...new Set(all.filter(name => name.startsWith('.')).map(name => relative(root, join(dirname(path), name))))],
    libraries: [...new Set(all.filter(name => !name.startsWith('.') && !isBuiltin(name)).map(packageOf))]
  }
}

const rows = readLayers()
const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
  .map(entry => readSource(join(entry.parentPath, entry.name)))
const layerOf = (module: string) => rows.find(row => row.modules.includes(module))?.layer

test('the table is read, and names every folder and file right below src', () => {
  assert.ok(rows.length >= 8, `${rows.length} rows`)
  assert.ok(files.length > 20)
  assert.deepEqual([...new Set(files.map(file => file.module))].filter(module => layerOf(module) === undefined), [])
})

test('a file imports from lower layers only, never from a sibling folder', () => {
  const top = Math.max(...rows.map(row => row.layer))
  const wrong = files.flatMap(file => {
    const mine = layerOf(file.module) ?? -1
    return file.imports.filter(path => {
      const theirs = layerOf(moduleOf(path)) ?? Infinity
      // The composition root and the command are one layer that may see itself.
      const aside = mine === top || words.includes(path)
      return !(moduleOf(path) === file.module || theirs < mine || (theirs === mine && aside) || !path.startsWith('src'))
    }).map(path => `${file.path} imports ${path}`)
  })
  assert.deepEqual(wrong, [])
})

test('files that neighbours share are types only: nothing of them is there at run time', () => {
  for (const path of words) {
    const { text } = files.find(file => file.path === path)!
    assert.equal(/^(?!\/\/|\/\*|import type|export (type|interface)|\s|\}|\*|$)/m.test(text), false, path)
  }
})

test('each library is imported by its owners only, dynamic imports included', () => {
  const owners = new Map<string, string[]>()
  for (const row of rows) for (const [library, folders] of row.owners) owners.set(library, [...owners.get(library) ?? [], ...folders])
  const wrong = files.flatMap(file => file.libraries
    .filter(library => !(owners.get(library) ?? []).includes(file.module))
    .map(library => `${file.path} imports ${library}, owned by ${owners.get(library)?.join(', ') ?? 'nobody'}`))
  assert.deepEqual(wrong, [])
})

test('each library that is owned is a dependency of the package, and each dependency has an owner', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  const owned = rows.flatMap(row => [...row.owners.keys()])
  assert.deepEqual([...new Set(owned)].sort(), Object.keys(dependencies).sort())
})

test('no import is computed: this test could not see it', () => {
  assert.deepEqual(files.filter(({ text }) => /\bimport\((?!['"])/.test(text)).map(({ path }) => path), [])
})

test(`no file is longer than ${maxLines} lines without a reason`, () => {
  const long = files.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 })).filter(({ path, lines }) => lines > maxLines && !(path in longFiles))
  assert.deepEqual(long, [])
  assert.deepEqual(Object.keys(longFiles).filter(path => !files.some(file => file.path === path && file.text.split('\n').length - 1 > maxLines)), [], 'exceptions no longer needed')
})

test('the first line of every file says what it decides', () => {
  assert.deepEqual(files.filter(({ text }) => !/^(#!.*\n)?\/\/ \S.{15,}/.test(text)).map(({ path }) => path), [])
})

test('nothing mutable stands at module level', () => {
  assert.deepEqual(files.filter(({ path, text }) => /^(export )?(let|var) /m.test(text) && !(path in programs)).map(({ path }) => path), [])
})

const page = readFileSync(join(root, 'docs/ARCHITECTURE.md'), 'utf8')

test('docs/ARCHITECTURE.md is two pages of paper: what is detail stands in the folders\' own pages', () => {
  // Printed on A4 with text of 10 pt and tables of 8.5 pt.
  assert.ok(page.split(/\s+/).length <= 1_350, `${page.split(/\s+/).length} words`)
})

test('docs/ARCHITECTURE.md lists the filters of the pipeline in their order', () => {
  const code = readFileSync(join(root, 'src/pipeline.ts'), 'utf8').replace(/\/\/.*$/gm, '')
  const names = [...code.matchAll(/import \{ ([^}]+) \} from '\.\/filters\//g)].flatMap(([, list]) => list!.split(/,\s*/)).join('|')
  const [, filters = '', last = ''] = /compose\(\[\n(.*)\n *\], (\w+)\)/s.exec(code) ?? []
  // One filter a line, perhaps behind what switches it on; what lives longer than a table comes from `parts`.
  const built = filters.split('\n').map(line => new RegExp(`parts\\.(\\w+),?$|\\b(${names})\\b`).exec(line)).flatMap(found => found === null ? [] : found[1] ?? found[2]!).concat(last)
  const drawn = [...page.matchAll(/^\| `(\w+)` \| `(filters\/[^`]+)` \|/gm)].map(([, name]) => name)
  assert.ok(built.length >= 6, filters)
  assert.deepEqual(drawn, built)
})

test('every file that docs/ARCHITECTURE.md and the folders\' own pages name exists, and every folder is named', () => {
  const indexes = [...page.matchAll(/\]\(\.\.\/(src\/\w+\/README\.md)\)/g)].map(([, path]) => readFileSync(join(root, path!), 'utf8'))
  assert.ok(indexes.length >= 9)
  const named = [...new Set([...[page, ...indexes].join('\n').matchAll(/`([\w./-]+(?:\.ts|\/))`/g)].map(([, name]) => name!))]
  const exists = (name: string) => ['', 'src/', 'src/control/', 'src/upstream/', 'src/listener/'].some(folder => existsSync(join(root, folder, name)))
  assert.ok(named.length > 60, `${named.length} names`)
  assert.deepEqual(named.filter(name => !exists(name)), [])
  const folders = [...new Set(files.map(({ module }) => module))]
  assert.deepEqual(folders.filter(folder => !page.includes(`\`${folder}`)), [])
})
