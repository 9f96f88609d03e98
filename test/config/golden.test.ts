// Wrong configurations and what is said of them, as files: the text, a rule of =, the messages. UPDATE=1 writes the messages anew.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, parseConfig } from '../../src/config/load.ts'

const directory = join(import.meta.dirname, '../fixtures/config')
const rule = '========\n'

const readSecret = (kind: 'env' | 'file', name: string): string => {
  if (name === 'POSTERN_TEST_SECRET') return 'hunter2'
  throw new Error(kind === 'env' ? 'the variable is not set' : 'there is no such file')
}

for (const name of readdirSync(directory).filter(file => file.endsWith('.txt'))) {
  test(`messages for ${name.replace('.txt', '').replaceAll('-', ' ')}`, () => {
    const [yaml = '', expected] = readFileSync(join(directory, name), 'utf8').split(rule)
    let said = ''
    try {
      parseConfig(yaml, { file: 'postern.yaml', directory: '/etc/postern', readSecret })
    } catch (error) {
      assert.ok(error instanceof ConfigError)
      said = `${error.message}\n`
    }
    if (process.env['UPDATE'] === '1') writeFileSync(join(directory, name), yaml + rule + said)
    else assert.equal(said, expected)
    assert.notEqual(said, '', 'every file here has mistakes')
    assert.ok(!said.includes('hunter2'), 'a secret is never shown')
  })
}
