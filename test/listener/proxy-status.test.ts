import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import { proxyStatus } from '../../src/listener/proxy-status.ts'

const rows: ReadonlyArray<readonly [what: string, error: GatewayError | number, expected: string]> = [
  ['a limit, its value and the occupancy',
    new GatewayError('BulkheadFull', { detail: { upstream: 'Orders', limit: 'maxQueue', value: 128, waitedFor: 'bulkhead slot', full: 'maxConcurrent', fullAt: 256, inFlight: 256, queued: 128, priority: 'normal' } }),
    'postern-1; error=connection_limit_reached; details="BulkheadFull limit=maxQueue value=128 waitedFor=bulkhead slot full=maxConcurrent fullAt=256 inFlight=256 queued=128 priority=normal"'],
  ['addresses, causes and names of services stay in the log',
    new GatewayError('ConnectFailed', { detail: { endpoint: 'http://10.0.0.1', cause: 'ECONNREFUSED', upstream: 'Orders' } }),
    'postern-1; error=connection_refused; details="ConnectFailed"'],
  ['a string holds printable ASCII, and escapes its own signs',
    new GatewayError('DeadlineExceeded', { detail: { limit: 'a "b" \\ c\u00e9\n', value: Number.NaN } }),
    'postern-1; error=http_response_timeout; details="DeadlineExceeded limit=a \\"b\\" \\\\ c?? value=NaN"'],
  ['the service\'s own status', 502, 'postern-1; received-status=502'],
  ['no detail', new GatewayError('MessageNotFound'), 'postern-1; error=destination_not_found; details="MessageNotFound"']
]

for (const [what, error, expected] of rows) {
  test(what, () => assert.equal(proxyStatus('postern-1', error), expected))
}
