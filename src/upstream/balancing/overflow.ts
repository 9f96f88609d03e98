// How much of the calls each level gets: the nearest as much as it can carry, the next what is left. Pure.

/**
 * As Envoy's priority levels: a level whose health × overprovisioning is 100 % or more carries all that is left for it. Where all levels together
 * cannot carry everything, they share in proportion.
 * @param health of each level, nearest first, 0 to 1: the part of its registered weight that is available
 * @param limits gets the running sum of the shares, so that a random number below the last one falls into its level; all 0 = nobody is healthy
 */
export function shareLevels (health: ArrayLike<number>, overprovisioningPercent: number, limits: Float64Array): void {
  let capacity = 0
  for (let i = 0; i < limits.length; i++) capacity += carried(health[i]!, overprovisioningPercent)
  const scale = capacity === 0 ? 0 : 1 / Math.min(1, capacity)
  let sum = 0
  for (let i = 0; i < limits.length; i++) limits[i] = sum = Math.min(1, sum + carried(health[i]!, overprovisioningPercent) * scale)
}

const carried = (health: number, overprovisioningPercent: number): number => Math.min(1, health * overprovisioningPercent / 100)
