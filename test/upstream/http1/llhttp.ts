// llhttp as undici carries it (WebAssembly), for comparison: the first answer in some bytes, as it reads it.
import { createRequire } from 'node:module'

export interface LlhttpParsed {
  readonly status: number
  readonly reason: string
  /** All fields, flat; those behind the body too. */
  readonly headers: string[]
  readonly body: string
  readonly outcome: 'whole' | 'cut' | 'refused'
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  malloc (bytes: number): number
  free (at: number): void
  llhttp_alloc (type: number): number
  llhttp_free (parser: number): void
  llhttp_execute (parser: number, at: number, bytes: number): number
  llhttp_finish (parser: number): number
}

interface Calls {
  status (text: string): void
  field (text: string): void
  value (text: string): void
  body (text: string): void
  /** Returns what llhttp wants to know: 1 = no body follows. */
  headersComplete (status: number): number
  /** Returns llhttp's error code to stop with, or 0. */
  complete (): number
}

const response = 2
const paused = 21

function load (): { readonly llhttp: Exports, use (calls: Calls): void } {
  let calls: Calls
  const text = (at: number, bytes: number) => Buffer.from(llhttp.memory.buffer, at, bytes).toString('latin1')
  // @types/node knows no WebAssembly of its own without the DOM's.
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: { Module: new (bytes: Buffer) => object, Instance: new (module: object, imports: object) => { exports: Exports } } }).WebAssembly
  const module = new Module(createRequire(import.meta.url)('undici/lib/llhttp/llhttp-wasm.js') as Buffer)
  const llhttp = new Instance(module, {
    env: {
      wasm_on_message_begin: () => 0,
      wasm_on_url: () => 0,
      wasm_on_status: (_: number, at: number, bytes: number) => { calls.status(text(at, bytes)); return 0 },
      wasm_on_header_field: (_: number, at: number, bytes: number) => { calls.field(text(at, bytes)); return 0 },
      wasm_on_header_value: (_: number, at: number, bytes: number) => { calls.value(text(at, bytes)); return 0 },
      wasm_on_body: (_: number, at: number, bytes: number) => { calls.body(text(at, bytes)); return 0 },
      wasm_on_headers_complete: (_: number, status: number) => calls.headersComplete(status),
      wasm_on_message_complete: () => calls.complete()
    }
  }).exports
  return { llhttp, use: next => { calls = next } }
}

const { llhttp, use } = load()

export function parseWithLlhttp (input: string, { headOnly, close }: { headOnly: boolean, close: boolean }): LlhttpParsed {
  let status = 0
  let reason = ''
  let headers: string[] = []
  let body = ''
  let whole = false
  // A value that is empty is not always told: a name that follows a name had none.
  let expects: 'name' | 'value' = 'name'
  use({
    status: text => { reason += text },
    field: text => {
      if (expects === 'value') headers[headers.length - 1] += text
      else headers.push(text)
      expects = 'value'
    },
    value: text => {
      if (expects === 'value') headers.push(text)
      else headers[headers.length - 1] += text
      expects = 'name'
    },
    body: text => { body += text },
    headersComplete: code => {
      status = code
      return headOnly || code < 200 ? 1 : 0
    },
    complete: () => {
      if (status < 200) {
        reason = ''
        headers = []
        return 0
      }
      whole = true
      return paused
    }
  })
  const parser = llhttp.llhttp_alloc(response)
  const bytes = Buffer.from(input, 'latin1')
  const at = llhttp.malloc(bytes.length + 1)
  try {
    Buffer.from(llhttp.memory.buffer, at, bytes.length).set(bytes)
    const code = llhttp.llhttp_execute(parser, at, bytes.length)
    if (!whole && code === 0 && close) llhttp.llhttp_finish(parser)
    return { status, reason, headers, body, outcome: whole ? 'whole' : code === 0 ? 'cut' : 'refused' }
  } finally {
    llhttp.free(at)
    llhttp.llhttp_free(parser)
  }
}
