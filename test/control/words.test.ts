// One word for one state in API, log, metrics, command and docs: an operator searches for what he has read.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describeChanges } from '../../src/control/changes-log.ts'
import { countDecision, describeRoutes, describeUpstreams } from '../../src/control/describe.ts'
import type { EndpointState } from '../../src/control/endpoints.ts'
import { emptyMemory, type NameState } from '../../src/control/plan.ts'
import { metricTable } from '../../src/telemetry/metric-table.ts'
import type { Config } from '../../src/config/schema.ts'
import { validate } from '../../src/config/validator.ts'
import { runHere } from '../command/run-command.ts'
import { decideWorld, operation } from './support.ts'

const at = (port: number) => `http://10.0.0.1:${port}`
const get = { lists: ['GetProduct'] }

/** One registration in each state there is, and names in each. */
const decision = decideWorld({
  registrations: [
    { id: 'routed', port: 1 }, { id: 'out', port: 2 }, { id: 'standby', port: 3, health: 'warning' }, { id: 'waiting', port: 4, health: 'unchecked' }, { id: 'critical', port: 5, health: 'critical' },
    { id: 'draining', port: 6, health: 'maintenance' }, { id: 'ghost', port: 7 }, { id: 'stranger', port: 8 }, { id: 'unconfirmed', port: 9, unconfirmedSince: 900_000 }, { id: 'refused', port: 10, refused: '169.254.169.254 is link-local' },
    { id: 'names', port: 11, service: 'Names', names: ['GetProduct', 'Secret', 'tag'], createIndex: 99 }, { id: 'unread', port: 12, service: 'Unread', names: ['Unread'] },
    { id: 'one', port: 13, service: 'One', names: ['Left'] }, { id: 'two', port: 14, service: 'Two', names: ['Left'] }
  ],
  says: {
    1: { id: 'routed', ...get },
    2: { id: 'out', ...get },
    3: { id: 'standby', ...get },
    4: 'silent',
    5: { id: 'critical', ...get },
    7: { id: 'somebody', ...get },
    8: { lists: ['Invoice'] },
    9: { id: 'unconfirmed', ...get },
    11: { id: 'names', lists: ['GetProduct', operation('Secret', { restricted: true })] },
    13: { id: 'one', lists: ['Left'] },
    14: { id: 'two', lists: ['Left'] }
  },
  memory: { ...emptyMemory, owners: new Map([['left', { upstream: 'Gone', since: 1 }]]) },
  leftOut: [{ upstream: 'Catalog', url: at(2), cause: 'unreachable', reason: 'ECONNREFUSED' }]
})
const endpointStates = ['routed', 'out', 'standby', 'waiting', 'critical', 'draining', 'ghost', 'stranger', 'unconfirmed', 'refused'] as const satisfies EndpointState[]
const nameStates = ['routed', 'hidden', 'unread', 'quarantined', 'conflict'] as const satisfies NameState[]
const { config } = validate({}) as { config: Config }
const operations = readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8')

for (const state of endpointStates) {
  test(`a registration that is ${state}`, async () => {
    const row = (JSON.parse(describeRoutes(decision, config, [])) as { registrations: Array<{ registration: string, state: string, why: string }> }).registrations.find(({ registration }) => registration === state)!
    const endpoint = (JSON.parse(describeUpstreams(decision, [])) as { upstreams: Array<{ endpoints: Array<{ registrationIds: string[], state: string, why: string }> }> }).upstreams.flatMap(({ endpoints }) => endpoints).find(({ registrationIds }) => registrationIds[0] === state)!
    assert.deepEqual([row.state, endpoint.state, endpoint.why], [state, state, row.why])
    assert.ok(row.why.toLowerCase().startsWith(state), row.why)
    assert.ok((countDecision(decision).registrations[state] ?? 0) > 0)
    assert.match(metricTable.registrations.help, new RegExp(`\\b${state}\\b`))
    const line = describeChanges({ ...decision, endpoints: [] }, decision).find(({ fields }) => fields['registration'] === state)!
    assert.deepEqual([line.message, line.fields['state'], line.fields['why']], [`endpoint ${state}`, state, row.why])
    assert.ok(operations.includes(`| \`${state}\` |`), 'docs/OPERATIONS.md says what it means')
    assert.notEqual((await runHere(['routes', '--state', state, '--admin', '127.0.0.1:1'])).code, 2, 'it can be asked for')
  })
}

for (const state of nameStates) {
  test(`a name that is ${state}`, async () => {
    const row = (JSON.parse(describeRoutes(decision, config, [])) as { routes: Array<{ message: string, upstream: string, state: string, why: string }> }).routes.find(route => route.state === state)!
    assert.ok(row.why.toLowerCase().startsWith(state), row.why)
    assert.ok((countDecision(decision).routes[state] ?? 0) > 0)
    const line = describeChanges({ ...decision, names: [] }, decision).find(({ fields }) => fields['name'] === row.message && fields['service'] === row.upstream)!
    assert.deepEqual([line.message, line.fields['state'], line.fields['why']], [`message ${state}`, state, row.why])
    assert.notEqual((await runHere(['routes', '--state', state, '--admin', '127.0.0.1:1'])).code, 2, 'it can be asked for')
  })
}
