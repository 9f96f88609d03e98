// docs/CACHE-CONFORMANCE.md names tests that exist, and every MUST and SHOULD in it names one.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cases as directives } from './cases/directives.ts'
import { cases as freshness } from './cases/freshness.ts'
import { cases as storing } from './cases/storing.ts'
import { cases as validation } from './cases/validation.ts'
import { cases as vary } from './cases/vary.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/CACHE-CONFORMANCE.md'), 'utf8')
const cases = [freshness, directives, storing, validation, vary].flat().map(({ name }) => name)
const textsOf = (folder: string, ending: RegExp) => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(file => ending.test(file)).map(file => readFileSync(join(root, folder, file), 'utf8'))
const tables = [...textsOf('test/cache', /\.test\.ts$/), ...textsOf('test/scenarios', /^cache-.*\.test\.ts$/)].join('\n').replaceAll('\\\'', '\'')
/** Rows of the tables, without their heads; the last cell has the names. */
const rows = page.split('\n').filter(line => /^\| (?:\d|RFC)/.test(line)).map(line => line.slice(2, -2).split(' | '))

test('every named test exists', () => {
  const unknown = rows.flatMap(cells => [...cells.at(-1)!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!))
    .filter(name => !cases.includes(name) && !tables.includes(`'${name}'`) && !(name.startsWith('understood: ') && tables.includes(`'${name.slice(12)}'`)))
  assert.deepEqual(unknown, [])
})

test('every row names a test', () => {
  assert.ok(rows.length > 70, `${rows.length} rows`)
  assert.deepEqual(rows.filter(cells => !/`[^`]+`/.test(cells.at(-1)!)).map(([clause]) => clause), [])
})

test('no two cases have one name', () => {
  assert.deepEqual(cases.filter((name, at) => cases.indexOf(name) !== at), [])
})
