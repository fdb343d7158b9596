import { lineChart } from '../kit/chart';
import { button, fillWith, h, s, type Child } from '../kit/dom';
import { bytes, count, short, text } from '../kit/format';
import { t } from '../kit/texts';
import { panned, part } from '../kit/view';
import type { Comparison, Input, Run } from '../records';
import { alike, change, codeLines, inputsOf, MARKS, type CodeLine } from './runs';

/** Shows what differs between two contents, given by their digests, with what they are called. */
export type Differ = (a: string, b: string, names: [string, string]) => void;

/** Parameters or metrics: a row for each that differs; those that are alike are folded away below. Null without any. */
export function factsSection(kind: 'params' | 'metrics', title: string, answer: Comparison): HTMLElement | null {
  const rows = Object.entries(answer[kind]);
  const same = alike(answer, kind);
  if (!rows.length && !same.length) {
    return null;
  }
  const lines = rows.map(([name, values]) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      values.map((value, index) =>
        h('td', { class: numeric(value) }, cell(value, index ? change(value, values[0]) : null))
      )
    )
  );
  const body = rows.length
    ? sideBySide(title, answer.runs, lines)
    : h('p', { class: 'mlops-quiet' }, t('All are alike.'));
  return part(title, body, folded(kind, same));
}

/** Learning curves: a chart for each metric with steps, and a legend that hides and shows runs. Null without any. */
export function curvesSection(runs: readonly Run[]): HTMLElement | null {
  const names = [...new Set(runs.flatMap(run => Object.keys(run.series ?? {})))].filter(name =>
    runs.some(run => (run.series?.[name]?.length ?? 0) > 1)
  );
  if (!names.length) {
    return null;
  }
  const shown = runs.map(() => true);
  const charts = h('div', { class: 'mlops-curves' });
  const draw = (): void => {
    const drawn = names.map(name => {
      const lines = runs.map((run, index) => ({
        name: label(run, index),
        points: shown[index] ? (run.series?.[name] ?? []) : []
      }));
      const chart = lineChart(lines, { width: 380, height: 190, title: t('%1 by step', name), x: t('step') });
      return h('figure', { class: 'mlops-curve' }, h('figcaption', {}, name), chart);
    });
    fillWith(charts, drawn);
  };
  const legend = runs.map((run, index) => {
    const key = h('button', {
      type: 'button',
      class: `mlops-curve-key mlops-series-${index % 8}`,
      'aria-pressed': 'true',
      title: t('Show or hide this run'),
      on: {
        click: () => {
          shown[index] = !shown[index];
          key.setAttribute('aria-pressed', String(shown[index]));
          draw();
        }
      }
    });
    fillWith(key, swatch(index), h('span', {}, label(run, index)));
    return key;
  });
  draw();
  return part(
    t('Learning curves'),
    h('div', { class: 'mlops-actions', role: 'group', 'aria-label': t('Runs in the charts') }, legend),
    charts
  );
}

/** How the code of each run differs from that of the first, in lines that say so. */
export function codeSection(answer: Comparison): HTMLElement {
  const [first, ...others] = answer.runs;
  const blocks = answer.code.flatMap((unified, index) =>
    unified ? [codeBlock(first, others[index], index + 1, unified)] : []
  );
  const equal = answer.code.flatMap((unified, index) => (unified ? [] : [label(others[index], index + 1)]));
  const note = equal.length
    ? h('p', { class: 'mlops-quiet' }, t('The same code as %1: %2.', label(first, 0), equal.join(', ')))
    : null;
  return part(t('Code'), blocks, note);
}

/** Which data differs; two contents of one name can be compared. Null where no run used any. */
export function dataSection(answer: Comparison, diff: Differ | null): HTMLElement | null {
  const all = inputsOf(answer.runs);
  if (!all.length) {
    return null;
  }
  const differing = all.filter(([name]) => name in answer.inputs);
  const same = all
    .filter(([name]) => !(name in answer.inputs))
    .map(([name, inputs]): [string, unknown] => [name, told(inputs[0])]);
  const lines = differing.map(([name, inputs]) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      inputs.map((input, index) => dataCell(name, input, inputs[0], index, diff))
    )
  );
  const body = differing.length
    ? sideBySide(t('Data'), answer.runs, lines)
    : h('p', { class: 'mlops-quiet' }, t('All used the same data.'));
  return part(t('Data'), body, differing.length ? folded('inputs', same) : null);
}

function dataCell(
  name: string,
  input: Input | undefined,
  first: Input | undefined,
  index: number,
  diff: Differ | null
): HTMLElement {
  if (!input) {
    return h('td', {}, h('span', { class: 'mlops-quiet' }, t('not used')));
  }
  const a = first?.digest;
  const b = input.digest;
  const differs = index > 0 && !!a && !!b && a !== b;
  const compare =
    differs && diff
      ? button(t('What differs'), () => diff(a, b, [`${name} (A)`, `${name} (${MARKS(index)})`]), {
          'aria-label': t('What differs in %1 between A and %2', name, MARKS(index))
        })
      : null;
  const digest = b
    ? h('span', { class: 'mlops-mono', title: b }, short(b))
    : h('span', { class: 'mlops-quiet' }, t('no digest'));
  const verdict = index > 0 && !!a && a === b ? h('span', { class: 'mlops-quiet' }, t('same as A')) : null;
  return h(
    'td',
    {},
    h('div', { class: 'mlops-data-cell' }, digest, h('span', { class: 'mlops-quiet' }, told(input)), verdict, compare)
  );
}

function told(input: Input | undefined): string {
  if (!input) {
    return '';
  }
  const shape =
    input.rows !== null && input.columns !== null ? t('%1 × %2', count(input.rows), count(input.columns)) : '';
  return [input.kind, shape || (input.size ? bytes(input.size) : '')].filter(Boolean).join(', ');
}

function codeBlock(first: Run, run: Run, index: number, unified: string): HTMLElement {
  const lines = codeLines(unified);
  const added = lines.filter(line => line.kind === 'added').length;
  const removed = lines.filter(line => line.kind === 'removed').length;
  const summary = t(
    'From %1 to %2: %3 added, %4 removed',
    label(first, 0),
    label(run, index),
    lineCount(added),
    lineCount(removed)
  );
  const table = h('table', { class: 'mlops-codediff' }, h('caption', {}, summary), h('tbody', {}, lines.map(codeLine)));
  return panned(summary, table);
}

function codeLine(line: CodeLine): HTMLElement {
  if (line.kind === 'place') {
    return h('tr', { class: 'mlops-change-place' }, h('td', { colspan: 2 }, '⋯'));
  }
  const word = line.kind === 'added' ? t('added') : line.kind === 'removed' ? t('removed') : '';
  const tag = line.kind === 'added' ? 'ins' : line.kind === 'removed' ? 'del' : 'span';
  return h(
    'tr',
    { class: `mlops-change-${line.kind}` },
    h('th', { scope: 'row' }, word),
    h('td', {}, h(tag, {}, line.text || ' '))
  );
}

function lineCount(lines: number): string {
  return lines === 1 ? t('1 line') : t('%1 lines', lines);
}

/** A table with a column for each run, headed by its letter and name. */
function sideBySide(caption: string, runs: readonly Run[], lines: HTMLElement[]): HTMLElement {
  const heads = runs.map((run, index) =>
    h(
      'th',
      { scope: 'col', title: run.name },
      h('div', {}, swatch(index), h('span', { class: 'mlops-mark' }, label(run, index)))
    )
  );
  const corner = h('td', {}, h('span', { class: 'mlops-hidden' }, t('Name')));
  const table = h(
    'table',
    { class: 'mlops-side' },
    h('caption', { class: 'mlops-hidden' }, caption),
    h('thead', {}, h('tr', {}, corner, heads)),
    h('tbody', {}, lines)
  );
  return panned(caption, table);
}

function folded(kind: string, same: readonly [string, unknown][]): HTMLElement | null {
  if (!same.length) {
    return null;
  }
  const words: Record<string, [string, string]> = {
    params: [t('1 parameter is alike'), t('%1 parameters are alike', same.length)],
    metrics: [t('1 metric is alike'), t('%1 metrics are alike', same.length)],
    inputs: [t('1 piece of data is the same'), t('%1 pieces of data are the same', same.length)]
  };
  const items = same.map(([name, value]) => [h('dt', {}, name), h('dd', {}, text(value))]);
  return h(
    'details',
    { class: 'mlops-alike' },
    h('summary', {}, words[kind][same.length === 1 ? 0 : 1]),
    h('dl', {}, items)
  );
}

function cell(value: unknown, moved: string | null): Child {
  if (value === null || value === undefined) {
    return h('span', { class: 'mlops-quiet' }, t('none'));
  }
  return [
    h('span', { title: String(value) }, text(value, 80)),
    moved !== null && typeof value === 'number' ? h('span', { class: 'mlops-moved' }, moved) : null
  ];
}

function numeric(value: unknown): string {
  return typeof value === 'number' ? 'mlops-number' : '';
}

/** The line of a run's colour and dashes, as the charts draw it. */
function swatch(index: number): SVGElement {
  const line = s('path', { d: 'M0 3h18', class: 'mlops-line' });
  return s(
    'svg',
    { class: `mlops-swatch mlops-series-${index % 8}`, viewBox: '0 0 18 6', 'aria-hidden': 'true' },
    line
  );
}

function label(run: Run, index: number): string {
  return `${MARKS(index)} ${run.name || short(run.id)}`;
}
