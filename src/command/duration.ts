// A length of time as operators write it in a flag: 90s, 10m, 2h, 1d. Pure.
import { UsageError } from './terminal.ts'

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** ms. `flag`: as written, for the complaint. @throws UsageError */
export function durationMs (flag: string, text: string): number {
  const [, number, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (number === undefined || Number(number) === 0) throw new UsageError(`${flag}: "${text}" is no time. For example 90s, 10m, 2h or 1d.`)
  return Number(number) * units[unit as keyof typeof units]
}
