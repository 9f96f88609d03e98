// Rules for the PEM files that settings name: readable, of the right kind, key and certificate a pair.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Config } from './schema.ts'
import { found, refuse, type Rule, type RuleInput } from './rule.ts'
import type { Finding } from './schema-errors.ts'

type Kind = 'certFile' | 'keyFile' | 'caFile'
type Files = Partial<Record<Kind, string | undefined>>

const kinds: ReadonlyArray<readonly [kind: Kind, holds: string, parse: (pem: string) => unknown]> = [
  ['caFile', 'a certificate', pem => new X509Certificate(pem)],
  ['certFile', 'a certificate', pem => new X509Certificate(pem)],
  ['keyFile', 'a private key', pem => createPrivateKey(pem)]
]

export const fileRules: readonly Rule[] = [
  refuse('pem-files', function * ({ config, readPem }) {
    if (readPem === undefined) return
    for (const { segments, files } of sections(config)) yield * findingsOf(segments, files, readPem)
  })
]

function * findingsOf (segments: readonly string[], files: Files, readPem: NonNullable<RuleInput['readPem']>): Generator<Finding> {
  const sound = new Map<Kind, unknown>()
  for (const [kind, holds, parse] of kinds) {
    const path = files[kind]
    if (path === undefined) continue
    try {
      const pem = readPem(path)
      try {
        sound.set(kind, parse(pem))
      } catch {
        // What the library says of it ("no start line") helps nobody; a key protected by a pass phrase ends here too.
        yield found([...segments, kind], `${path} does not hold ${holds} in PEM format`, kind === 'keyFile' ? 'A key under a pass phrase cannot be used.' : undefined)
      }
    } catch (error) {
      yield found([...segments, kind], `${path}: ${error instanceof Error ? error.message : String(error)}`, 'A relative path starts at the directory of this file.')
    }
  }
  const certificate = sound.get('certFile') as X509Certificate | undefined
  const key = sound.get('keyFile') as ReturnType<typeof createPrivateKey> | undefined
  if (certificate !== undefined && key !== undefined && !certificate.checkPrivateKey(key)) yield found([...segments, 'keyFile'], `the key does not belong to the certificate in ${files.certFile}`)
}

function * sections ({ listener, registry, upstreams }: Config): Generator<{ segments: readonly string[], files: Files }> {
  for (const [index, files] of (listener.tls?.certificates ?? []).entries()) yield { segments: ['listener', 'tls', 'certificates', String(index)], files }
  if (registry.consul?.tls !== undefined) yield { segments: ['registry', 'consul', 'tls'], files: registry.consul.tls }
  for (const [name, { tls }] of Object.entries(upstreams)) if (tls !== undefined) yield { segments: ['upstreams', name, 'tls'], files: tls }
}
