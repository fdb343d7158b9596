import { frame, ticks } from '../kit/chart';
import { s } from '../kit/dom';
import { moment, number } from '../kit/format';
import { t } from '../kit/texts';
import type { Reading, Shares } from './columns';

/** A level that a value is held against, drawn as a dashed line. */
export interface Level {
  value: number;
  name: string;
}

/** What a course over time is drawn with. */
export interface CourseOptions {
  title: string;
  /** The stretch of time that is shown, whether there are values in all of it or not. */
  from: number;
  to: number;
  levels?: readonly Level[];
  /** Where values of the whole window lie, with 95% confidence: a bar at the right end. */
  interval?: readonly [number, number] | null;
  value?: number | null;
  /** The least and the greatest value that are shown in any case. */
  least?: number;
  greatest?: number;
  tall?: boolean;
}

const WIDTH = 240;
const LEFT = 34;
const RIGHT = 10;

/** A value over time, with the levels that it is held against. */
export function course(readings: readonly Reading[], options: CourseOptions): SVGElement {
  const height = options.tall ? 104 : 72;
  const bottom = height - 15;
  const svg = frame('mlops-course', WIDTH, height, options.title);
  const levels = (options.levels ?? []).filter(level => Number.isFinite(level.value));
  const [low, high] = bounds(readings, options, levels);
  const right = WIDTH - RIGHT - (options.interval ? 12 : 0);
  const x = (at: number): number =>
    round(
      LEFT + 4 + (options.to > options.from ? (at - options.from) / (options.to - options.from) : 0.5) * (right - LEFT - 8)
    );
  const y = (value: number): number => round(6 + ((high - value) / (high - low)) * (bottom - 8));

  for (const value of ticks(low, high, options.tall ? 4 : 3)) {
    const place = { x: LEFT - 4, y: y(value) + 3.5, 'text-anchor': 'end' };
    svg.appendChild(s('line', { x1: LEFT, x2: right, y1: y(value), y2: y(value), class: 'mlops-grid' }));
    svg.appendChild(s('text', { ...place, class: 'mlops-axis' }, number(value, 3)));
  }
  svg.appendChild(s('line', { x1: LEFT, x2: right, y1: bottom, y2: bottom, class: 'mlops-grid' }));
  for (const level of levels) {
    if (level.value >= low && level.value <= high) {
      const place = { x1: LEFT, x2: right, y1: y(level.value), y2: y(level.value) };
      svg.appendChild(
        s('line', { ...place, class: 'mlops-level' }, s('title', {}, `${level.name}: ${number(level.value)}`))
      );
    }
  }
  if (readings.length > 1) {
    const points = readings.map(({ at, value }) => `${x(at)},${y(value)}`).join(' ');
    svg.appendChild(s('polyline', { points, class: 'mlops-line mlops-now' }));
  }
  for (const { at, value, rows } of readings) {
    const told = `${moment(at)}: ${number(value)}${rows ? `, ${t('%1 rows', number(rows))}` : ''}`;
    svg.appendChild(
      s('circle', { cx: x(at), cy: y(value), r: 2.5, class: 'mlops-dot mlops-now' }, s('title', {}, told))
    );
  }
  if (options.interval) {
    const [from, to] = options.interval;
    const told = t('the whole window: %1, 95% between %2 and %3', number(options.value), number(from), number(to));
    const place = WIDTH - RIGHT;
    svg.appendChild(
      s(
        'g',
        { class: 'mlops-interval' },
        s('title', {}, told),
        s('line', { x1: place, x2: place, y1: y(from), y2: y(to) }),
        s('line', { x1: place - 3, x2: place + 3, y1: y(from), y2: y(from) }),
        s('line', { x1: place - 3, x2: place + 3, y1: y(to), y2: y(to) }),
        typeof options.value === 'number' && s('circle', { cx: place, cy: y(options.value), r: 3 })
      )
    );
  }
  const ends: [number, string, number][] = [
    [LEFT, 'start', options.from],
    [right, 'end', options.to]
  ];
  for (const [place, anchor, at] of ends) {
    const told = clock(at, options.to - options.from);
    svg.appendChild(s('text', { x: place, y: height - 3, 'text-anchor': anchor, class: 'mlops-axis' }, told));
  }
  return svg;
}

/**
 * How a column's values are spread: bars for now, an outline for the reference, so that nobody has to tell colours
 * apart.
 */
export function spread(shares: Shares, title: string): SVGElement {
  const height = 104;
  const bottom = height - 15;
  const svg = frame('mlops-spread', WIDTH, height, title);
  const most = Math.max(1e-9, ...shares.reference, ...shares.now);
  const step = (WIDTH - 4) / Math.max(1, shares.cells.length);
  const y = (share: number): number => round(bottom - (share / most) * (bottom - 6));
  let outline = `M2,${bottom}`;
  shares.cells.forEach((cell, index) => {
    const [before, now] = [shares.reference[index] ?? 0, shares.now[index] ?? 0];
    const left = round(2 + index * step);
    const told = t('%1: %2 of the reference, %3 now', String(cell), percent(before), percent(now));
    const bar = { x: round(left + step * 0.12), y: y(now), width: round(step * 0.76), height: round(bottom - y(now)) };
    svg.appendChild(s('rect', { ...bar, class: 'mlops-spread-now' }));
    // The whole height answers the pointer, not the bar alone.
    svg.appendChild(
      s('rect', { x: left, y: 0, width: round(step), height: bottom, class: 'mlops-spread-cell' }, s('title', {}, told))
    );
    outline += `V${y(before)}H${round(left + step)}`;
  });
  svg.appendChild(s('path', { d: `${outline}V${bottom}`, class: 'mlops-spread-before' }));
  svg.appendChild(s('line', { x1: 2, x2: WIDTH - 2, y1: bottom, y2: bottom, class: 'mlops-grid' }));
  const ends: [number, string, unknown][] = [
    [2, 'start', shares.cells[0]],
    [WIDTH - 2, 'end', shares.cells[shares.cells.length - 1]]
  ];
  for (const [place, anchor, cell] of ends) {
    svg.appendChild(
      s(
        'text',
        { x: place, y: height - 3, 'text-anchor': anchor, class: 'mlops-axis' },
        String(cell ?? '').slice(0, 18)
      )
    );
  }
  return svg;
}

/** A share in percent. */
export function percent(share: number): string {
  const told = share * 100;
  return `${Number(told.toFixed(told < 10 ? 1 : 0))}%`;
}

/** A moment as a mark of a time axis: the hour within half a day, with the day within three, else the day. */
export function clock(at: number, span: number): string {
  const told = moment(at);
  return span <= 43200 ? told.slice(11, 16) : span <= 3 * 86400 ? told.slice(5, 16) : told.slice(5, 10);
}

function bounds(readings: readonly Reading[], options: CourseOptions, levels: readonly Level[]): [number, number] {
  const shown = [...readings.map(reading => reading.value), ...(options.interval ?? [])];
  // Levels far away from all values would press them flat; the first level is always shown.
  const values = [...shown, ...levels.slice(0, 1).map(level => level.value)];
  if (options.least !== undefined) {
    values.push(options.least);
  }
  if (options.greatest !== undefined) {
    values.push(options.greatest);
  }
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!Number.isFinite(low) || !Number.isFinite(high)) {
    return [0, 1];
  }
  const room = high - low || Math.abs(high) || 1;
  return [options.least === low ? low : low - 0.08 * room, high + 0.08 * room];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
