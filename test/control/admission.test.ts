import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAdmission } from '../../src/control/admission.ts'
import type { NameResolver } from '../../src/registry/resolve.ts'
import { until } from '../support/until.ts'
import { registration } from './support.ts'

const named = { ...registration({ id: 'a' }), address: { url: 'http://orders.internal:80', origin: 'http://orders.internal:80', basePath: '' } }

function setUp (answers: () => readonly string[] | Error) {
  let changes = 0
  const resolver: NameResolver = {
    resolve: async () => {
      const answer = answers()
      if (answer instanceof Error) throw answer
      return { ips: answer, at: 1, error: undefined }
    },
    close () {}
  }
  return { admission: createAdmission(['10.0.0.0/8'], [], () => { changes++ }, resolver), changes: () => changes }
}

test('a host name waits for its addresses, and carries them then', async () => {
  const { admission, changes } = setUp(() => ['10.0.0.2', '10.0.0.1'])
  assert.equal(admission.admit(named).refused, 'orders.internal is being resolved')
  await until('the answer', () => changes() === 1)
  const { refused, ips } = admission.admit(named)
  assert.deepEqual([refused, ips], [undefined, ['10.0.0.1', '10.0.0.2']])
  assert.equal(admission.admit(named).ips, ips, 'the same list for as long as it holds: nothing is sent again')
  admission.close()
})

test('a name that leads to where nobody may connect is refused, and one that leads nowhere', async () => {
  for (const [answer, reason] of [[['10.0.0.1', '169.254.169.254'], /169\.254\.169\.254 is link-local/], [new Error('ENOTFOUND'), /cannot be resolved: ENOTFOUND/]] as const) {
    const { admission, changes } = setUp(() => answer)
    admission.admit(named)
    await until('the answer', () => changes() === 1)
    assert.match(admission.admit(named).refused ?? '', reason)
    admission.close()
  }
})

test('what postern.yaml fixes is never refused; its name is resolved all the same', async () => {
  const { admission, changes } = setUp(() => ['192.0.2.1'])
  const fixed = { ...named, registry: 'config' as const }
  assert.equal(admission.admit(fixed).refused, undefined)
  await until('the answer', () => changes() === 1)
  assert.deepEqual([admission.admit(fixed).refused, admission.admit(fixed).ips], [undefined, ['192.0.2.1']])
  admission.close()
})
