import { number, text } from '../kit/format';
import { t } from '../kit/texts';
import type { Comparison, Input, Run } from '../records';

/** The letter that stands for a run wherever there is no room for its name: A, B, ..., Z, A2, ... */
export function MARKS(index: number): string {
  return String.fromCharCode(65 + (index % 26)) + (index < 26 ? '' : String(Math.floor(index / 26) + 1));
}

/**
 * One axis of parallel coordinates: where each run lies on it (0 bottom, 1 top; null: no such value), and its marks.
 */
export interface Axis {
  name: string;
  kind: 'params' | 'metrics';
  places: (number | null)[];
  /** What is written along the axis, and where. */
  marks: { at: number; text: string }[];
  /** The value at a place, for the words that tell a chosen range. */
  told(place: number): string;
}

/** The axes of a comparison: every parameter and metric that differs, parameters first. */
export function axesOf(answer: Comparison): Axis[] {
  return (['params', 'metrics'] as const).flatMap(kind =>
    Object.entries(answer[kind]).map(([name, values]) => axisOf(name, kind, values))
  );
}

/** An axis of numbers where all values are numbers, else of the different values as texts. */
export function axisOf(name: string, kind: 'params' | 'metrics', values: readonly unknown[]): Axis {
  const there = values.filter(value => value !== null && value !== undefined);
  return there.length && there.every(value => typeof value === 'number' && Number.isFinite(value))
    ? numeric(name, kind, values as (number | null)[])
    : nominal(name, kind, values);
}

function numeric(name: string, kind: Axis['kind'], values: readonly (number | null)[]): Axis {
  const there = values.filter((value): value is number => value !== null && value !== undefined);
  const least = Math.min(...there);
  const greatest = Math.max(...there);
  const place = (value: number): number => (greatest > least ? (value - least) / (greatest - least) : 0.5);
  const ends = greatest > least ? [least, (least + greatest) / 2, greatest] : [least];
  return {
    name,
    kind,
    places: values.map(value => (value === null || value === undefined ? null : place(value))),
    marks: ends.map(value => ({ at: place(value), text: number(value, 3) })),
    told: at => number(least + at * (greatest - least), 3)
  };
}

function nominal(name: string, kind: Axis['kind'], values: readonly unknown[]): Axis {
  const texts = values.map(value => (value === null || value === undefined ? null : text(value, 24)));
  const known = [...new Set(texts.filter((value): value is string => value !== null))].sort();
  const at = (index: number): number => (known.length > 1 ? index / (known.length - 1) : 0.5);
  return {
    name,
    kind,
    places: texts.map(value => (value === null ? null : at(known.indexOf(value)))),
    marks: known.map((value, index) => ({ at: at(index), text: value || t('(empty)') })),
    told: place => known[Math.round(place * (known.length - 1))] ?? ''
  };
}

/** What all runs have alike: the parameters or metrics with one value for all, by name. */
export function alike(answer: Comparison, kind: 'params' | 'metrics'): [string, unknown][] {
  const first = answer.runs[0];
  return Object.entries(first[kind]).filter(([name]) => !(name in answer[kind]));
}

/** A value of one run less that of the first, in words: +0.012; "" where that says nothing. */
export function change(value: unknown, first: unknown): string {
  if (typeof value !== 'number' || typeof first !== 'number' || !Number.isFinite(value - first) || value === first) {
    return '';
  }
  return `${value > first ? '+' : ''}${number(value - first, 3)}`;
}

/** The inputs of runs side by side: for each name, the input of each run. */
export function inputsOf(runs: readonly Run[]): [string, (Input | undefined)[]][] {
  const names = [...new Set(runs.flatMap(run => run.inputs.map(input => input.name)))];
  return names.map(name => [name, runs.map(run => run.inputs.find(input => input.name === name))]);
}

/** One line of a code difference: its kind, and its text without the sign. */
export interface CodeLine {
  kind: 'added' | 'removed' | 'same' | 'place';
  text: string;
}

/** The lines of a unified difference, without its two lines of names. */
export function codeLines(unified: string): CodeLine[] {
  return unified
    .split('\n')
    .filter((line, index) => !(index < 2 && /^(---|\+\+\+)/.test(line)))
    .map(line => {
      const kind = line.startsWith('@@')
        ? 'place'
        : line.startsWith('+')
          ? 'added'
          : line.startsWith('-')
            ? 'removed'
            : 'same';
      return { kind, text: kind === 'place' ? line : line.slice(1) };
    });
}
