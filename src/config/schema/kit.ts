// How settings are declared: short words for types with default, limits and description.
import { Type, type TArray, type TBoolean, type TInteger, type TObject, type TOptional, type TProperties, type TSchema, type TString, type TUnsafe } from 'typebox'

export const closed = { additionalProperties: false }
export const object = <P extends TProperties>(properties: P, options: { description: string, default?: unknown }): TObject<P> =>
  Type.Object(properties, { ...closed, ...options })
/** An object that may be left out: every field of it has a default. */
export const section = <P extends TProperties>(properties: P, description: string): TObject<P> => object(properties, { description, default: {} })
export const ms = (description: string, byDefault: number, minimum = 1): TInteger =>
  Type.Integer({ minimum, maximum: 86_400_000, default: byDefault, description: `${description} Milliseconds.` })
/** What may last longer than a day: up to what HTTP can say (RFC 9111 section 1.2.2). */
export const lifetimeMs = (description: string, byDefault: number): TInteger =>
  Type.Integer({ minimum: 0, maximum: 2_147_483_648_000, default: byDefault, description: `${description} Milliseconds.` })
export const bytes = (description: string, byDefault: number, minimum = 0): TInteger =>
  Type.Integer({ minimum, default: byDefault, description: `${description} Bytes.` })
export const count = (description: string, byDefault: number, minimum = 0): TInteger =>
  Type.Integer({ minimum, default: byDefault, description })
export const flag = (description: string, byDefault: boolean): TBoolean => Type.Boolean({ default: byDefault, description })
export const text = (description: string): TString => Type.String({ minLength: 1, description })
/** Relative paths are taken from the directory of postern.yaml; the loader makes them absolute. */
export const path = (description: string): TString => Type.String({ minLength: 1, format: 'path', description })
export const names = (description: string, byDefault: string[]): TArray<TString> => Type.Array(Type.String({ minLength: 1 }), { default: byDefault, description })
export const oneOf = <const V extends readonly string[]>(values: V, byDefault: V[number], description: string): TUnsafe<V[number]> =>
  Type.Unsafe<V[number]>({ type: 'string', enum: [...values], default: byDefault, description })
/** Without a default for what is off when left out. */
export const address = (description: string, byDefault?: string): TString => Type.String({
  format: 'listen-address',
  description: `${description} HOST:PORT; port 0 picks a free one.`,
  ...(byDefault === undefined ? {} : { default: byDefault })
})

type Optional<P extends TProperties> = { [K in keyof P]: TOptional<P[K] extends TObject<infer Q> ? TObject<Optional<Q>> : P[K]> }
/** The same fields without defaults, sections within too, each of which may be left out: what the level above says counts then. */
export const optional = <P extends TProperties>(properties: P): Optional<P> =>
  Object.fromEntries(Object.entries(properties).map(([name, schema]) => {
    const { default: _, ...rest } = schema as TSchema & { default?: unknown, description: string }
    return [name, Type.Optional(Type.IsObject(schema) ? object(optional(schema.properties), { description: rest.description }) : rest as TSchema)]
  })) as Optional<P>
