// Median, quartiles, percentiles and slope of what was measured. Pure.

export interface Spread { readonly median: number, readonly lower: number, readonly upper: number, readonly count: number }

/** The value below which `share` (0 to 1) of the values lie, interpolated between neighbours. NaN for no values. */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  if (sorted.length === 0) return NaN
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)]!
  const above = sorted[Math.ceil(position)]!
  return below + (above - below) * (position - Math.floor(position))
}

/** Median with the lower and the upper quartile. */
export const spread = (values: readonly number[]): Spread =>
  ({ median: quantile(values, 0.5), lower: quantile(values, 0.25), upper: quantile(values, 0.75), count: values.length })

/** Slope of the least-squares line through the points: y per x. 0 where x does not vary. */
export const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const variance = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return variance === 0 ? 0 : covariance / variance
}
