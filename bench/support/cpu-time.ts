// CPU time of a process, all its threads and all its children, as Linux counts it in /proc.
import { readFileSync, readdirSync } from 'node:fs'
import { execFileSync } from 'node:child_process'

export interface ProcessTimes { readonly parent: number, readonly ticks: number }

/**
 * Reads one /proc/PID/stat line: the parent, and utime + stime + cutime + cstime (fields 14 to 17 of proc(5)) in clock ticks.
 * utime and stime hold every thread, those that ended too; cutime and cstime the children that were reaped.
 */
export const parseStat = (line: string): ProcessTimes => {
  // The command's name stands in parentheses and may hold spaces and parentheses itself.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return { parent: Number(fields[1]), ticks }
}

const ignoreGone = (error: unknown): void => {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ENOENT' && code !== 'ESRCH') throw error
}

/** A clock for the CPU time of process trees, in seconds. Its grain is the kernel's tick, 10 ms on most machines. */
export const createCpuClock = (): (pid: number) => number => {
  const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  return root => {
    const times = new Map<number, ProcessTimes>()
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) continue
      try {
        times.set(Number(entry), parseStat(readFileSync(`/proc/${entry}/stat`, 'latin1')))
      } catch (error) {
        ignoreGone(error)
      }
    }
    const belongs = (pid: number): boolean => {
      for (let at: number | undefined = pid; at !== undefined && at !== 0; at = times.get(at)?.parent) if (at === root) return true
      return false
    }
    let ticks = 0
    for (const [pid, { ticks: own }] of times) if (belongs(pid)) ticks += own
    return ticks / ticksPerSecond
  }
}
