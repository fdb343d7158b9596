import { h, type Child } from './dom';
import { icon } from './icons';
import type { Sort } from './rows';
import { t } from './texts';

/** A column of a table. */
export interface Column<Row> {
  id: string;
  title: string;
  /** A track of a CSS grid; by default all columns share the width. */
  width?: string;
  numeric?: boolean;
  sortable?: boolean;
  /** What is shown: text, or an element. */
  cell(row: Row): Child;
  /** What the table sorts by, where it sorts by itself (no `onSort`). */
  value?(row: Row): unknown;
  /** The tooltip; by default a cell's own text. */
  tip?(row: Row): string;
}

/** What is known of a row when it is drawn. */
export interface RowState {
  id: string;
  index: number;
  /** Undefined where rows cannot be selected, or cannot be unfolded. */
  selected?: boolean;
  unfolded?: boolean;
}

/** The header of a column; a button where the table can be sorted by it. */
export function headerCell<Row>(column: Column<Row>, sort: Sort | null, press: () => void): HTMLElement {
  const sorted = sort?.column === column.id ? sort : null;
  const order = !column.sortable ? null : !sorted ? 'none' : sorted.descending ? 'descending' : 'ascending';
  const attributes = {
    type: 'button',
    class: 'mlops-sort',
    title: t('Sort by %1', column.title),
    on: { click: press }
  };
  const name = column.sortable
    ? h('button', attributes, h('span', {}, column.title), sorted && icon(sorted.descending ? 'down' : 'up'))
    : h('span', { title: column.title }, column.title);
  return h('div', { role: 'columnheader', class: kind(column), 'aria-sort': order, data: { column: column.id } }, name);
}

/** The header of the check boxes. */
export function selectHeader(): HTMLElement {
  const words = h('span', { class: 'mlops-hidden' }, t('Selected'));
  return h('div', { role: 'columnheader', class: 'mlops-cell mlops-check' }, words);
}

/** A row that is not there yet. */
export function waitingRow(state: RowState): HTMLElement {
  const cell = h('div', { role: 'gridcell', class: 'mlops-cell mlops-waiting' });
  return h('div', { ...place(state), 'aria-busy': 'true' }, cell);
}

/** A row: a check box where rows can be selected, and its cells. */
export function drawRow<Row>(
  columns: readonly Column<Row>[],
  row: Row,
  key: string,
  name: string,
  state: RowState,
  clicked: (event: MouseEvent) => void
): HTMLElement {
  const { selected, unfolded } = state;
  const attributes = {
    ...place(state),
    'aria-selected': selected === undefined ? null : String(selected),
    'aria-expanded': unfolded === undefined ? null : String(unfolded),
    data: { key },
    on: { click: clicked }
  };
  return h(
    'div',
    attributes,
    selected !== undefined && check(name, selected),
    columns.map(column => cell(column, row))
  );
}

/** What is unfolded below a row, over the whole width; Escape in it folds it again. */
export function detailRow(content: HTMLElement, columns: number, fold: () => void): HTMLElement {
  const keydown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape' && !event.defaultPrevented) {
      event.preventDefault();
      fold();
    }
  };
  const cell = h('div', { role: 'gridcell', 'aria-colspan': columns }, content);
  return h('div', { role: 'row', class: 'mlops-detail-row', on: { keydown } }, cell);
}

function place(state: RowState): Record<string, unknown> {
  return { role: 'row', class: 'mlops-row', id: state.id, 'aria-rowindex': state.index + 2 };
}

function check(name: string, selected: boolean): HTMLElement {
  const box = h('input', { type: 'checkbox', tabindex: -1, checked: selected, 'aria-label': t('Select %1', name) });
  return h('div', { role: 'gridcell', class: 'mlops-cell mlops-check' }, box);
}

function cell<Row>(column: Column<Row>, row: Row): HTMLElement {
  const shown = column.cell(row);
  const plain = typeof shown === 'string' || typeof shown === 'number';
  const title = column.tip?.(row) ?? (plain ? String(shown) : null);
  return h('div', { role: 'gridcell', class: kind(column), title, data: { column: column.id } }, shown);
}

function kind<Row>(column: Column<Row>): string {
  return `mlops-cell${column.numeric ? ' mlops-number' : ''}`;
}
