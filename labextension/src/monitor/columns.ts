import type { Drift, Monitoring } from '../records';

/** By custom, a population stability index below the first is a small difference, above the second a large one. */
export const PSI_BOUNDS = [0.1, 0.25] as const;

/** A value at a moment (seconds since 1970), and how many rows it was taken from. */
export interface Reading {
  at: number;
  value: number;
  rows: number;
}

/** How a column's values are spread: shares of the reference's rows and of those of now, for each cell. */
export interface Shares {
  cells: readonly unknown[];
  reference: readonly number[];
  now: readonly number[];
}

/** All that is drawn of one column. */
export interface ColumnDrift {
  drift: Drift;
  alarming: boolean;
  psi: readonly Reading[];
  shares: Shares | null;
}

/** Whether a column drifted, or went silent: all of its values are missing, or are one, as they were not before. */
export function alarming(drift: Drift): boolean {
  return drift.verdict === 'drift' || silent(drift);
}

/** Whether a column went silent, so that there is too little to tell drift by, which is alarming in itself. */
export function silent(drift: Drift): boolean {
  return drift.verdict === 'insufficient data' && drift.p_value !== null && drift.p_value <= (drift.threshold ?? 0);
}

/**
 * The columns of a table, worst first: those that drifted, then those that did not, then those that nothing can be
 * said of.
 */
export function bySeverity(
  drift: readonly Drift[],
  series: Monitoring['series'] = {},
  distributions: Monitoring['distributions'] = {}
): ColumnDrift[] {
  const rank = (item: Drift): number => (alarming(item) ? 0 : item.verdict === 'none' ? 1 : 2);
  return [...drift]
    .sort(
      (a, b) => rank(a) - rank(b) || (finite(b.psi) ?? -1) - (finite(a.psi) ?? -1) || a.column.localeCompare(b.column)
    )
    .map(item => ({
      drift: item,
      alarming: alarming(item),
      psi: readings(series[`psi ${item.column}`] ?? []),
      shares: distributions[item.column] ?? null
    }));
}

/** A series of a monitoring, without what is no number. */
export function readings(series: Monitoring['series'][string]): Reading[] {
  return series.flatMap(([at, value, rows]) => (finite(value) === null ? [] : [{ at, value: value as number, rows }]));
}

/** The series of metrics, without those that tell of drift. */
export function metricSeries(series: Monitoring['series']): Record<string, Reading[]> {
  const metrics = Object.entries(series).filter(([name]) => !name.startsWith('psi '));
  return Object.fromEntries(metrics.map(([name, points]) => [name, readings(points)]));
}

/** A number that can be drawn; null for what is none. */
export function finite(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
