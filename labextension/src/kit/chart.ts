import { number } from './format';
import { s } from './dom';

/** A point of a line: where, and how much. */
export type Point = readonly [x: number, y: number];

/** A line of a chart. */
export interface Line {
  name: string;
  points: readonly Point[];
}

/** A bar of a histogram: from, to, and how many. */
export interface Bin {
  from: number | string;
  to?: number | string;
  count: number;
}

/** How a chart is drawn: its size in pixels, and what it shows, for those who cannot see it. */
export interface ChartOptions {
  width?: number;
  height?: number;
  title: string;
  /** Names of the axes, for line charts and histograms. */
  x?: string;
  y?: string;
}

/** A spark line: the course of one series in the height of a row. */
export function sparkline(points: readonly Point[], options: ChartOptions): SVGElement {
  const { width = 64, height = 16, title } = options;
  const drawn = finite(points);
  const svg = frame('mlops-spark', width, height, title);
  if (drawn.length) {
    const at = scale(drawn, width, height, 2);
    svg.appendChild(
      s('polyline', { points: drawn.map(point => at(point).join(',')).join(' '), class: 'mlops-line mlops-series-0' })
    );
    const [x, y] = at(drawn[drawn.length - 1]);
    svg.appendChild(s('circle', { cx: x, cy: y, r: 1.8, class: 'mlops-dot mlops-series-0' }));
  }
  return svg;
}

/** A bar: where a value lies between the least and the greatest of its like. */
export function bar(value: number, least: number, greatest: number, options: ChartOptions): SVGElement {
  const { width = 64, height = 16, title } = options;
  // From zero where all values are positive: lengths then stand to each other as the values do.
  const ground = Math.min(0, least);
  const share = greatest > ground ? (value - ground) / (greatest - ground) : 1;
  const svg = frame('mlops-bar', width, height, title);
  const thick = Math.min(6, height - 3);
  const place = { x: 0, y: (height - thick) / 2, height: thick, rx: thick / 2 };
  svg.appendChild(s('rect', { ...place, width, class: 'mlops-bar-ground' }));
  const length = Number.isFinite(share) ? Math.max(2, Math.min(1, Math.max(0, share)) * width) : 0;
  svg.appendChild(s('rect', { ...place, width: length, class: 'mlops-bar-value' }));
  return svg;
}

/** A chart of lines with axes; at most eight are told apart by colour and by dashes, and named below. */
export function lineChart(lines: readonly Line[], options: ChartOptions): SVGElement {
  const { width = 320, height = 160, title } = options;
  const svg = frame('mlops-chart', width, height, title);
  const all = lines.flatMap(line => finite(line.points));
  if (!all.length) {
    return svg;
  }
  const box = { left: 44, top: 8, right: 8, bottom: options.x ? 30 : 18 };
  const at = scale(all, width, height, 0, box);
  axes(svg, all, at, width, height, box, options);
  lines.forEach((line, index) => {
    const points = finite(line.points).map(point => at(point));
    const look = `mlops-series-${index % 8}`;
    const told = s('title', {}, line.name);
    if (points.length === 1) {
      svg.appendChild(s('circle', { cx: points[0][0], cy: points[0][1], r: 3, class: `mlops-dot ${look}` }, told));
    } else {
      const text = points.map(point => point.join(',')).join(' ');
      svg.appendChild(s('polyline', { points: text, class: `mlops-line ${look}` }, told));
    }
  });
  return svg;
}

/** A histogram: bars over bins of numbers, or over categories. */
export function histogram(bins: readonly Bin[], options: ChartOptions): SVGElement {
  const { width = 120, height = 32, title } = options;
  const svg = frame('mlops-histogram', width, height, title);
  const most = Math.max(1, ...bins.map(bin => bin.count));
  const step = width / Math.max(1, bins.length);
  bins.forEach((bin, index) => {
    const tall = bin.count ? Math.max(1, (bin.count / most) * (height - 2)) : 0;
    const place = { x: index * step + 0.5, y: height - tall, width: Math.max(0.5, step - 1), height: tall };
    const range = bin.to === undefined ? label(bin.from) : `${label(bin.from)} – ${label(bin.to)}`;
    svg.appendChild(
      s('rect', { ...place, class: 'mlops-bar-value' }, s('title', {}, `${range}: ${number(bin.count)}`))
    );
  });
  return svg;
}

/** An SVG image with a title, in the size that is asked for, growing no wider than its place. */
export function frame(kind: string, width: number, height: number, title: string): SVGElement {
  const size = { viewBox: `0 0 ${width} ${height}`, width, height };
  return s('svg', { class: `mlops-svg ${kind}`, ...size, role: 'img', 'aria-label': title }, s('title', {}, title));
}

/** Round values between two bounds, about as many as wanted, for the marks of an axis. */
export function ticks(least: number, greatest: number, wanted = 4): number[] {
  const span = greatest - least;
  if (!(span > 0)) {
    return [least];
  }
  const power = 10 ** Math.floor(Math.log10(span / wanted));
  const step = [1, 2, 5, 10].map(times => times * power).find(size => span / size <= wanted) ?? power * 10;
  const found: number[] = [];
  for (let value = Math.ceil(least / step) * step; value <= greatest + step * 1e-9; value += step) {
    found.push(Math.abs(value) < step * 1e-9 ? 0 : Number(value.toPrecision(12)));
  }
  return found;
}

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

function label(value: number | string): string {
  return typeof value === 'number' ? number(value) : value;
}

function finite(points: readonly Point[]): Point[] {
  return points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
}

function scale(
  points: readonly Point[],
  width: number,
  height: number,
  pad: number,
  box?: Box
): (point: Point) => [number, number] {
  const inner = box ?? { left: pad, top: pad, right: pad, bottom: pad };
  const [lowX, highX] = range(points.map(point => point[0]));
  const [lowY, highY] = range(points.map(point => point[1]));
  const wide = width - inner.left - inner.right;
  const tall = height - inner.top - inner.bottom;
  return ([x, y]) => [
    round(inner.left + (highX > lowX ? (x - lowX) / (highX - lowX) : 0.5) * wide),
    round(inner.top + tall - (highY > lowY ? (y - lowY) / (highY - lowY) : 0.5) * tall)
  ];
}

function axes(
  svg: SVGElement,
  points: readonly Point[],
  at: (point: Point) => [number, number],
  width: number,
  height: number,
  box: Box,
  options: ChartOptions
): void {
  const [lowX, highX] = range(points.map(point => point[0]));
  const [lowY, highY] = range(points.map(point => point[1]));
  for (const value of ticks(lowY, highY, 3)) {
    const y = at([lowX, value])[1];
    svg.appendChild(s('line', { x1: box.left, x2: width - box.right, y1: y, y2: y, class: 'mlops-grid' }));
    svg.appendChild(s('text', { x: box.left - 4, y: y + 3, 'text-anchor': 'end', class: 'mlops-axis' }, number(value)));
  }
  for (const value of ticks(lowX, highX, 4)) {
    const x = at([value, lowY])[0];
    svg.appendChild(
      s('text', { x, y: height - box.bottom + 12, 'text-anchor': 'middle', class: 'mlops-axis' }, number(value))
    );
  }
  if (options.x) {
    const place = { x: box.left + (width - box.left - box.right) / 2, y: height - 3, 'text-anchor': 'middle' };
    svg.appendChild(s('text', { ...place, class: 'mlops-axis mlops-axis-name' }, options.x));
  }
}

function range(values: readonly number[]): [number, number] {
  let least = Infinity;
  let greatest = -Infinity;
  for (const value of values) {
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  return [least, greatest];
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
