// Reads postern.yaml and the secrets it names. What the text means is decided in parse.ts.
import { open } from 'node:fs/promises'
import { homedir } from 'node:os'
import { closeSync, openSync, readSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseConfig, type Overrides, type ParsedConfig } from './parse.ts'
import { ConfigError } from './problem.ts'
import type { Config } from './schema.ts'
import type { ReadSecret } from './secrets.ts'

export { ConfigError } from './problem.ts'
export { parseConfig, type Overrides, type ParsedConfig } from './parse.ts'

const maxFileBytes = 4_194_304
const maxSecretBytes = 65_536
/** Bundles of authorities are long. */
const maxPemBytes = 4_194_304

/**
 * The configuration of a file, of the command line, or (without either) of the defaults alone.
 * @throws ConfigError with every mistake at once; also when the file cannot be read
 */
export async function loadConfig (file: string | undefined, overrides: Overrides = {}): Promise<Config> {
  return (await readConfig(file, overrides)).config
}

export interface LoadedConfig extends ParsedConfig {
  /** Absolute paths of the files that secrets were read from. */
  readonly secretFiles: readonly string[]
}

/** The same, with the warnings. `pemFiles: false`: certificates and keys are not looked at, for a caller that uses none of them. */
export async function readConfig (file: string | undefined, overrides: Overrides = {}, { pemFiles = true } = {}): Promise<LoadedConfig> {
  const directory = file === undefined ? process.cwd() : dirname(resolve(file))
  const text = file === undefined ? '' : await readText(file)
  const secretFiles = new Set<string>()
  const parsed = parseConfig(text, {
    file: file ?? 'defaults',
    directory,
    overrides,
    readSecret: secretReader(directory, path => secretFiles.add(path)),
    surroundings: { env: process.env, home: homeOrRoot() },
    readPem: pemFiles ? path => readNamed(resolve(directory, path), maxPemBytes) : undefined
  })
  return { ...parsed, secretFiles: [...secretFiles] }
}

function homeOrRoot (): string {
  try {
    return homedir()
  } catch {
    return '/' // A user whom the system does not know has none.
  }
}

/** All defaults: no registry, no routes. */
export function defaultConfig (): Config {
  return parseConfig('', { file: 'defaults', directory: process.cwd(), readSecret: secretReader(process.cwd()) }).config
}

/** Reads at most one byte beyond the limit, whatever stands there (a device, a pipe, a file that grows). */
async function readText (file: string): Promise<string> {
  try {
    const handle = await open(file, 'r')
    try {
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of handle.createReadStream({ end: maxFileBytes, autoClose: false }) as AsyncIterable<Buffer>) {
        chunks.push(chunk)
        bytes += chunk.length
      }
      if (bytes > maxFileBytes) throw new Error(`is longer than ${maxFileBytes} bytes`)
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(Buffer.concat(chunks))
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw new ConfigError([{ source: file, place: undefined, path: '', message: reasonOf(error), hint: undefined, frame: undefined }])
  }
}

function reasonOf (error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EISDIR') return 'is a directory, not a file'
  if (code === 'EACCES') return 'may not be read (permissions)'
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not UTF-8 text'
  return error instanceof Error ? error.message : String(error)
}

function secretReader (directory: string, onFile: (path: string) => void = () => {}): ReadSecret {
  return (kind, name) => {
    if (kind === 'env') {
      const value = process.env[name]
      if (value === undefined || value === '') throw new Error(value === undefined ? 'the variable is not set' : 'the variable is empty')
      return value
    }
    const path = resolve(directory, name)
    onFile(path)
    const text = readNamed(path, maxSecretBytes).replace(/\r?\n$/, '')
    if (text === '') throw new Error('the file is empty')
    return text
  }
}

/** Text of a small file; throws an Error that says in words why there is none. */
function readNamed (path: string, maxBytes: number): string {
  const chunks: Buffer[] = []
  try {
    const descriptor = openSync(path, 'r')
    try {
      let bytes = 0
      let length: number
      do {
        const chunk = Buffer.alloc(Math.min(65_537, maxBytes + 1 - bytes))
        length = readSync(descriptor, chunk)
        bytes += length
        chunks.push(chunk.subarray(0, length))
      } while (length > 0 && bytes <= maxBytes)
      if (bytes > maxBytes) throw new Error(`is longer than ${maxBytes} bytes`)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error })
  }
  return Buffer.concat(chunks).toString('utf8')
}
