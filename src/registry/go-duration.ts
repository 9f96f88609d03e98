// Go's durations (1h30m, 250ms), as Consul's API takes them. Pure.

const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/**
 * Milliseconds, or undefined when it is no duration. A plain number counts nanoseconds, as in Go's JSON. '' is 0, as Consul has it.
 */
export function parseGoDuration (value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return 0
  if (typeof value === 'number') return Number.isFinite(value) ? value * 1e-6 : undefined
  if (typeof value !== 'string' || value.length > 64) return undefined
  if (value === '0') return 0
  const parts = [...value.matchAll(/([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== value.replace(/^\+/, '')) return undefined
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * unitMs[unit!]!, 0)
}
