import { fillWith, h, s } from '../kit/dom';
import { number, text } from '../kit/format';
import { t } from '../kit/texts';
import type { Run } from '../records';
import { MARKS, type Axis } from './runs';

const WIDTH = 110;
const TALL = 200;
const TOP = 40;
const LEFT = 64;
const STEP = 0.05;

/** The chosen part of an axis, from 0 (bottom) to 1 (top). */
interface Brush {
  low: number;
  high: number;
}

/**
 * Parallel coordinates: an axis for each parameter and metric that differs, a line for each run. On each axis a range
 * can be chosen, by dragging or with the arrow keys on its two handles (Escape takes the range away); `onChosen` hears
 * which runs lie within all ranges.
 */
export function parallelCoordinates(
  runs: readonly Run[],
  axes: readonly Axis[],
  onChosen: (chosen: boolean[]) => void
): HTMLElement {
  const brushes: Brush[] = axes.map(() => ({ low: 0, high: 1 }));
  const width = LEFT * 2 + WIDTH * (axes.length - 1);
  const size = { viewBox: `0 0 ${width} ${TOP + TALL + 24}`, width, height: TOP + TALL + 24 };
  const svg = s('svg', { ...size, class: 'mlops-parallel', role: 'group', 'aria-label': t('Parallel coordinates') });
  const lines = runs.map((run, index) => line(run, index, axes));
  const result = h('p', { class: 'mlops-quiet', 'aria-live': 'polite' });
  const columns = axes.map((axis, index) => column(axis, index));
  svg.append(...lines.map(item => item.group), ...columns.map(item => item.group));
  const clear = h(
    'button',
    { type: 'button', class: 'mlops-button', disabled: true, on: { click: () => reset() } },
    t('Show all runs')
  );

  /** Draw what is chosen, and tell it. */
  function update(): void {
    const chosen = runs.map((_, run) => axes.every((axis, at) => within(axis.places[run], brushes[at])));
    lines.forEach((item, run) => item.group.classList.toggle('mlops-dim', !chosen[run]));
    columns.forEach((item, at) => item.draw(brushes[at]));
    const ranged = axes.flatMap((axis, at) => (whole(brushes[at]) ? [] : [words(axis, brushes[at])]));
    const marks = chosen.flatMap((is, run) => (is ? [MARKS(run)] : [])).join(', ') || t('none');
    fillWith(
      result,
      ranged.length
        ? t('Within %1: %2.', ranged.join('; '), marks)
        : t('Drag along an axis, or move its handles, to choose runs.')
    );
    clear.disabled = !ranged.length;
    onChosen(chosen);
  }

  function reset(): void {
    brushes.forEach(brush => Object.assign(brush, { low: 0, high: 1 }));
    update();
  }

  /** One axis: its name, marks, the chosen range, and two handles for the keyboard. */
  function column(axis: Axis, at: number): { group: SVGElement; draw(brush: Brush): void } {
    const x = LEFT + at * WIDTH;
    const name = s(
      'text',
      { x, y: 14, 'text-anchor': 'middle', class: 'mlops-axis-title' },
      text(axis.name, 15),
      s('title', {}, axis.name)
    );
    const kind = s(
      'text',
      { x, y: 28, 'text-anchor': 'middle', class: 'mlops-axis' },
      axis.kind === 'params' ? t('parameter') : t('metric')
    );
    const rule = s('line', { x1: x, x2: x, y1: TOP, y2: TOP + TALL, class: 'mlops-axis-rule' });
    const range = s('rect', { x: x - 6, width: 12, class: 'mlops-axis-range' });
    const marks = axis.marks.map(mark =>
      s('text', { x: x - 10, y: y(mark.at) + 3, 'text-anchor': 'end', class: 'mlops-axis' }, text(mark.text, 8))
    );
    const area = s('rect', { x: x - 14, y: TOP - 6, width: 28, height: TALL + 12, class: 'mlops-axis-area' });
    const handles = [handle(axis, at, x, 'low'), handle(axis, at, x, 'high')];
    drag(area, at);
    const group = s('g', {}, name, kind, rule, range, marks, area, handles);
    return {
      group,
      draw: brush => {
        range.setAttribute('y', String(y(brush.high)));
        range.setAttribute('height', String(Math.max(2, y(brush.low) - y(brush.high))));
        range.classList.toggle('mlops-chosen', !whole(brush));
        handles.forEach((item, end) => {
          const place = end ? brush.high : brush.low;
          item.setAttribute('transform', `translate(0 ${y(place)})`);
          item.setAttribute('aria-valuenow', String(Math.round(place * 100)));
          item.setAttribute('aria-valuetext', axis.told(place));
        });
      }
    };
  }

  /** One end of an axis's range: a slider. */
  function handle(axis: Axis, at: number, x: number, end: keyof Brush): SVGElement {
    const label = end === 'low' ? t('%1: least', axis.name) : t('%1: greatest', axis.name);
    const role = {
      role: 'slider',
      tabindex: 0,
      'aria-label': label,
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-orientation': 'vertical'
    };
    const press = (event: KeyboardEvent): void => {
      const moved = moveTo(event.key, brushes[at][end]);
      if (moved === null && event.key !== 'Escape') {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
      if (moved === null) {
        Object.assign(brushes[at], { low: 0, high: 1 });
      } else {
        const { low, high } = brushes[at];
        brushes[at][end] = end === 'low' ? Math.min(moved, high) : Math.max(moved, low);
      }
      update();
    };
    const shape = end === 'low' ? 'M-7 0h14l-7 7z' : 'M-7 0h14l-7-7z';
    const path = s('path', { d: shape, transform: `translate(${x} 0)` });
    return s('g', { class: 'mlops-axis-handle', ...role, on: { keydown: press } }, path);
  }

  /** A range of an axis by the pointer; a press without a move takes it away. */
  function drag(area: SVGElement, at: number): void {
    let from: number | null = null;
    const place = (event: PointerEvent): number => {
      const box = area.getBoundingClientRect();
      const scaled = ((event.clientY - box.top) / box.height) * (TALL + 12) - 6;
      return Math.min(1, Math.max(0, 1 - scaled / TALL));
    };
    area.addEventListener('pointerdown', event => {
      from = place(event);
      area.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    area.addEventListener('pointermove', event => {
      if (from !== null) {
        const to = place(event);
        Object.assign(
          brushes[at],
          Math.abs(to - from) < 0.02 ? { low: 0, high: 1 } : { low: Math.min(from, to), high: Math.max(from, to) }
        );
        update();
      }
    });
    area.addEventListener('pointerup', event => {
      if (from !== null && Math.abs(place(event) - from) < 0.02) {
        Object.assign(brushes[at], { low: 0, high: 1 });
        update();
      }
      from = null;
    });
  }

  update();
  return h('div', {}, h('div', { class: 'mlops-pan' }, svg), h('div', { class: 'mlops-actions' }, clear, result));
}

/** Where a key moves a handle; null for a key that does not. */
function moveTo(key: string, place: number): number | null {
  const steps: Record<string, number> = {
    ArrowUp: STEP,
    ArrowRight: STEP,
    ArrowDown: -STEP,
    ArrowLeft: -STEP,
    PageUp: 4 * STEP,
    PageDown: -4 * STEP
  };
  if (key === 'Home' || key === 'End') {
    return key === 'Home' ? 0 : 1;
  }
  return key in steps ? Math.min(1, Math.max(0, place + steps[key])) : null;
}

function within(place: number | null, brush: Brush): boolean {
  return whole(brush) || (place !== null && place >= brush.low - 1e-9 && place <= brush.high + 1e-9);
}

function whole(brush: Brush): boolean {
  return brush.low <= 0 && brush.high >= 1;
}

function words(axis: Axis, brush: Brush): string {
  return t('%1 %2 to %3', axis.name, axis.told(brush.low), axis.told(brush.high));
}

function y(place: number): number {
  return TOP + (1 - place) * TALL;
}

/** A run's line through the axes, broken where it has no value; its title tells the run and its values. */
function line(run: Run, index: number, axes: readonly Axis[]): { group: SVGElement } {
  let path = '';
  let drawing = false;
  const dots: SVGElement[] = [];
  axes.forEach((axis, at) => {
    const place = axis.places[index];
    if (place === null) {
      drawing = false;
      return;
    }
    const x = LEFT + at * WIDTH;
    path += `${drawing ? 'L' : 'M'}${number2(x)} ${number2(y(place))}`;
    drawing = true;
    dots.push(s('circle', { cx: x, cy: y(place), r: 3, class: 'mlops-dot' }));
  });
  const last = axes.map(axis => axis.places[index] !== null).lastIndexOf(true);
  const where = { x: LEFT + last * WIDTH + 10, y: y(axes[last]?.places[index] ?? 0) + 3 };
  const end = last < 0 ? null : s('text', { ...where, class: 'mlops-axis mlops-mark' }, MARKS(index));
  const values = axes.map(axis => `${axis.name}: ${text(run[axis.kind][axis.name], 40) || number(null)}`).join('\n');
  const title = s('title', {}, `${MARKS(index)} ${run.name}\n${values}`);
  return {
    group: s('g', { class: `mlops-series-${index % 8}` }, title, s('path', { d: path, class: 'mlops-line' }), dots, end)
  };
}

function number2(value: number): number {
  return Math.round(value * 100) / 100;
}
