// Certificates for tests, made on the spot by openssl. Loudly absent where there is no openssl.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface TestCertificate {
  readonly certFile: string
  readonly keyFile: string
  /** The certificate itself: it is its own authority. */
  readonly pem: string
  readonly key: string
  remove (): Promise<void>
}

/** A self-signed certificate for these names, valid for a day, in a directory of its own. Throws where openssl is missing. */
export async function makeCertificate (names: readonly string[]): Promise<TestCertificate> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-cert-'))
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const alternatives = names.map(name => /^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`).join(',')
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', `/CN=${names[0]}`, '-addext', `subjectAltName=${alternatives}`, '-keyout', keyFile, '-out', certFile])
  return {
    certFile,
    keyFile,
    pem: await readFile(certFile, 'utf8'),
    key: await readFile(keyFile, 'utf8'),
    remove: async () => { await rm(directory, { recursive: true, force: true }) }
  }
}
