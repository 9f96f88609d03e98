// The chart, rendered: manifests are well-formed, fit together, and carry a configuration the gateway accepts.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { renderChart } from './render-chart.ts'

const root = join(import.meta.dirname, '../..')
const chart = join(root, 'helm/postern')
const defaults = () => parse(readFileSync(join(chart, 'values.yaml'), 'utf8'))
const manifests = (values: any) => {
  const rendered = renderChart(chart, values)
  const read = (name: string) => parse(rendered.get(name)!, { strict: true }) as any
  return { deployment: read('deployment.yaml'), service: read('service.yaml'), configMap: read('configmap.yaml'), notes: rendered.get('NOTES.txt')! }
}
/** As `postern check` would, the rules between settings included. */
async function accepts (text: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-chart-'))
  try {
    await writeFile(join(directory, 'postern.yaml'), text)
    await loadConfig(join(directory, 'postern.yaml'))
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('the Deployment, its Service and its ConfigMap fit together', () => {
  const { deployment, service, configMap } = manifests(defaults())
  const { template, selector } = deployment.spec
  const [container] = template.spec.containers
  for (const [label, value] of Object.entries({ ...selector.matchLabels, ...service.spec.selector })) assert.equal(template.metadata.labels[label], value)
  assert.ok(container.ports.some((port: any) => port.name === service.spec.ports[0].targetPort))
  for (const probe of [container.livenessProbe, container.readinessProbe]) assert.ok(container.ports.some((port: any) => port.name === probe.httpGet.port))
  assert.equal(template.spec.volumes[0].configMap.name, configMap.metadata.name)
  assert.equal(container.volumeMounts[0].name, template.spec.volumes[0].name)
  assert.equal(container.volumeMounts[0].mountPath, '/etc/postern')
})

test('the pod may write nothing and become nobody', () => {
  const { deployment } = manifests(defaults())
  const { securityContext, containers: [container] } = deployment.spec.template.spec
  assert.deepEqual([securityContext.runAsNonRoot, securityContext.runAsUser], [true, 65532])
  assert.deepEqual([container.securityContext.readOnlyRootFilesystem, container.securityContext.allowPrivilegeEscalation, container.securityContext.capabilities.drop], [true, false, ['ALL']])
  assert.ok(container.resources.limits.memory)
})

test('the ConfigMap carries a postern.yaml that the gateway accepts, and ports that the manifest names', async () => {
  const { configMap, deployment } = manifests(defaults())
  const config = parse(configMap.data['postern.yaml'])
  const ports = Object.fromEntries(deployment.spec.template.spec.containers[0].ports.map((port: any) => [port.name, port.containerPort]))
  assert.equal(config.listener.address, `0.0.0.0:${ports.http}`)
  assert.equal(config.admin.probesAddress, `0.0.0.0:${ports.probes}`)
  assert.ok(config.admin.address.startsWith('127.0.0.1:'))
  assert.ok(deployment.spec.template.spec.terminationGracePeriodSeconds * 1_000 > config.drainMs + 5_000)
  await accepts(configMap.data['postern.yaml'])
  await assert.rejects(accepts('listener: { adress: x }'), /adress/)
})

test('what is kept over a restart has a volume where the configuration looks for it', () => {
  const values = defaults()
  const podOf = (of: any) => manifests(of).deployment.spec.template.spec
  const kept = podOf(values)
  const { mountPath, readOnly } = kept.containers[0].volumeMounts.find(({ name }: any) => name === 'data')
  assert.deepEqual([mountPath, readOnly], [values.config.dataDirectory, undefined])
  assert.deepEqual(kept.volumes.find(({ name }: any) => name === 'data'), { name: 'data', emptyDir: { sizeLimit: '512Mi' } })
  assert.equal(kept.securityContext.fsGroup, kept.securityContext.runAsUser)
  const recreate = { type: 'Recreate' }
  assert.deepEqual([undefined, recreate].map(strategy => manifests({ ...values, strategy }).deployment.spec.strategy), [undefined, recreate])
  const claim = podOf({ ...values, data: { persistentVolumeClaim: { claimName: 'postern-data' } } })
  assert.deepEqual(claim.volumes[1], { name: 'data', persistentVolumeClaim: { claimName: 'postern-data' } })
  const without = podOf({ ...values, data: null })
  assert.deepEqual([without.volumes.length, without.containers[0].volumeMounts.length], [1, 1])
})

test('what is switched on appears, what is not does not', () => {
  const values = defaults()
  values.metrics.enabled = true
  values.image.tag = '9.9.9'
  values.env = [{ name: 'CONSUL_HTTP_TOKEN', valueFrom: { secretKeyRef: { name: 'consul', key: 'token' } } }]
  values.nodeSelector = { disk: 'ssd' }
  const { deployment } = manifests(values)
  const [container] = deployment.spec.template.spec.containers
  assert.equal(deployment.spec.template.metadata.annotations['prometheus.io/port'], '9901')
  assert.deepEqual(container.ports.map((port: any) => port.name), ['http', 'probes', 'admin'])
  assert.equal(container.image, 'postern:9.9.9')
  assert.equal(container.env[0].valueFrom.secretKeyRef.name, 'consul')
  assert.deepEqual(deployment.spec.template.spec.nodeSelector, { disk: 'ssd' })
  const plain = manifests(defaults()).deployment.spec.template
  assert.equal(plain.metadata.annotations, undefined)
  assert.equal(plain.spec.containers[0].env, undefined)
  assert.equal(plain.spec.nodeSelector, undefined)
})

test('chart, package and image are of one version, and the notes name what there is', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const facts = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))
  assert.equal(facts.appVersion, version)
  const { deployment, service, notes } = manifests(defaults())
  assert.equal(deployment.spec.template.spec.containers[0].image, `postern:${version}`)
  assert.ok(notes.includes(`service/${service.metadata.name} `))
  assert.ok(notes.includes(`deploy/${deployment.metadata.name} `))
})

test('the configuration in the image is one the gateway accepts: probes outside, the rest of the admin listener on loopback', async () => {
  const text = readFileSync(join(root, 'config/container.yaml'), 'utf8')
  await accepts(text)
  const config = parse(text)
  assert.ok(config.admin.address.startsWith('127.0.0.1:'))
  assert.equal(config.admin.probesAddress, '0.0.0.0:9902')
  assert.match(readFileSync(join(root, 'Dockerfile'), 'utf8'), new RegExp(`^RUN install -d -o 65532 -g 65532 ${config.dataDirectory}\nVOLUME ${config.dataDirectory}$`, 'm'))
})

test('the Dockerfile says what the chart and the docs rely on', () => {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
  assert.match(dockerfile, /^USER 65532:65532$/m)
  const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)
  assert.deepEqual([...new Set(images)], ['node:26-slim'])
  assert.match(dockerfile, /127\.0\.0\.1:9902\/livez/)
})
