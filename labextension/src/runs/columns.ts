import { bar, sparkline } from '../kit/chart';
import { h, type Child } from '../kit/dom';
import { age, moment, number, seconds, text } from '../kit/format';
import { icon } from '../kit/icons';
import { stateBadge } from '../kit/status';
import type { Column } from '../kit/table';
import { t } from '../kit/texts';
import type { Run } from '../records';

/** How much room a table of runs has: as much as the sidebar has at first, some more, or as much as a notebook. */
export type Room = 'narrow' | 'middle' | 'wide';

/**
 * What the table of runs shows: the metric and parameter that were chosen ("" for none), in how much room, and `more`
 * metrics and parameters that nobody chose.
 */
export interface Choice {
  metric: string;
  param: string;
  room: Room;
  more: number;
}

/** The room that so many pixels are. */
export function roomOf(width: number): Pick<Choice, 'room' | 'more'> {
  const room = width >= WIDE ? 'wide' : width >= MIDDLE ? 'middle' : 'narrow';
  return { room, more: room === 'wide' ? 1 + Math.min(MOST, Math.floor((width - WIDE) / MORE)) : 0 };
}

const MIDDLE = 340;
const WIDE = 560;
/** Columns of metrics and parameters that nobody chose, and the pixels for each. */
const MOST = 6;
const MORE = 60;

/** Names of metrics and parameters by how many of the runs have them, the most first. */
export function namesOf(runs: readonly (Run | null)[]): { metrics: string[]; params: string[] } {
  const metrics = new Map<string, number>();
  const params = new Map<string, number>();
  for (const run of runs) {
    if (run) {
      Object.keys(run.metrics).forEach(name => metrics.set(name, (metrics.get(name) ?? 0) + 1));
      Object.keys(run.params).forEach(name => params.set(name, (params.get(name) ?? 0) + 1));
    }
  }
  return { metrics: ranked(metrics), params: ranked(params) };
}

/** The least and the greatest value of a metric among the runs that are here. */
export function rangeOf(runs: readonly (Run | null)[], metric: string): [number, number] {
  let least = Infinity;
  let greatest = -Infinity;
  for (const run of runs) {
    const value = run ? Number(run.metrics[metric] ?? NaN) : NaN;
    if (Number.isFinite(value)) {
      least = Math.min(least, value);
      greatest = Math.max(greatest, value);
    }
  }
  return [least, greatest];
}

/** The columns for a choice. Their ids are what the list is sorted by: name, metric:auc, param:C, started. */
export function columnsOf(
  choice: Choice,
  range: [number, number],
  names: { metrics: string[]; params: string[] }
): Column<Run>[] {
  const { metric, param, room, more } = choice;
  const wide = room === 'wide';
  const columns: Column<Run>[] = [
    {
      id: 'name',
      title: t('Run'),
      width: wide ? 'minmax(160px, 2fr)' : 'minmax(72px, 1fr)',
      sortable: true,
      cell: nameCell,
      value: run => run.name,
      tip: tipOf
    }
  ];
  const trend = (width: number, height: number) => (run: Run): Child => trendCell(run, metric, range, width, height);
  if (metric && room === 'narrow') {
    // There the trend stands below the number: the names get its place.
    const column = metricColumn(metric);
    const both = (run: Run): Child =>
      h('span', { class: 'mlops-run-metric' }, h('span', {}, column.cell(run)), trend(46, 7)(run));
    columns.push({ ...column, width: '54px', cell: both, tip: run => number(run.metrics[metric]) });
  } else if (metric) {
    columns.push({ ...metricColumn(metric), width: wide ? '72px' : '62px' });
    columns.push({ id: 'trend', title: t('Trend'), width: wide ? '84px' : '50px', cell: trend(wide ? 68 : 38, 16) });
  }
  if (wide) {
    const others = names.metrics.filter(name => name !== metric).slice(0, Math.ceil(more / 2));
    columns.push(...others.map(name => ({ ...metricColumn(name), width: '64px' })));
    const params = [...new Set([...(param ? [param] : []), ...names.params])];
    columns.push(...params.slice(0, Math.max(param ? 1 : 0, more - others.length)).map(paramColumn));
    columns.push({ id: 'seconds', title: t('Time'), width: '64px', numeric: true, cell: run => seconds(run.seconds) });
  } else if (param) {
    columns.push(paramColumn(param));
  }
  const when = { width: wide ? '52px' : '46px', numeric: true, sortable: true, value: (run: Run) => run.started };
  columns.push({
    id: 'started',
    title: t('Age'),
    ...when,
    cell: run => age(run.started),
    tip: run => moment(run.started)
  });
  return columns;
}

/** The course of a metric, where it has steps; else a bar between the least and the greatest. */
export function trendCell(
  run: Run,
  metric: string,
  [least, greatest]: [number, number],
  width = 38,
  height = 16
): Child {
  const points = run.series[metric];
  if (points && points.length > 1) {
    const title = t('%1 from %2 to %3', metric, number(points[0][1]), number(points[points.length - 1][1]));
    return sparkline(
      points.map(([step, value]) => [step, Number(value)] as const),
      { width, height, title }
    );
  }
  const value = Number(run.metrics[metric] ?? NaN);
  const title = t('%1 = %2, between %3 and %4', metric, number(value), number(least), number(greatest));
  return Number.isFinite(value) ? bar(value, least, greatest, { width, height, title }) : null;
}

function ranked(counts: ReadonlyMap<string, number>): string[] {
  return [...counts].sort(([a, x], [b, y]) => y - x || a.localeCompare(b)).map(([name]) => name);
}

function metricColumn(name: string): Column<Run> {
  const value = (run: Run): number | undefined => run.metrics[name];
  const cell = (run: Run): string => number(run.metrics[name]);
  return { id: `metric:${name}`, title: name, width: 'minmax(52px, 1fr)', numeric: true, sortable: true, cell, value };
}

function paramColumn(name: string): Column<Run> {
  const value = (run: Run): unknown => run.params[name];
  return {
    id: `param:${name}`,
    title: name,
    width: 'minmax(40px, 0.7fr)',
    sortable: true,
    cell: run => text(run.params[name]),
    value
  };
}

function nameCell(run: Run): Child {
  const state = run.status.toLowerCase();
  return h(
    'span',
    { class: 'mlops-run-name' },
    h('span', { class: 'mlops-run-words' }, run.name || run.id),
    state !== 'finished' && stateBadge(run.status),
    run.replay &&
      h(
        'span',
        { class: `mlops-verdict mlops-${run.replay === 'different' ? 'bad' : 'good'}` },
        verdictIcon(run.replay)
      )
  );
}

function verdictIcon(verdict: string): SVGElement {
  return icon(verdict === 'different' ? 'warning' : 'replay', t('Replayed: %1', verdict));
}

function tipOf(run: Run): string {
  return [run.name, run.status.toLowerCase(), moment(run.started), run.note].filter(Boolean).join('\n');
}
