import { fillWith, h, unique } from './dom';
import { detailRow, drawRow, headerCell, selectHeader, waitingRow, type Column } from './drawing';
import type { TableOptions } from './options';
import { between, compare, moved, nextOf, nextSort, RowPlaces, scrolled, type Sort } from './rows';

export type { Column } from './drawing';
export type { TableOptions } from './options';
export type { Sort } from './rows';

/**
 * A table that holds only the rows on view in the page, however many there are. Arrows, Page Up and Down, Home and
 * End move, Space selects, Enter unfolds or opens, Escape folds; headers that sort are buttons.
 */
export class Table<Row> {
  constructor(private readonly _options: TableOptions<Row>) {
    const { label, rowHeight = 26, selectable, fit } = _options;
    this._columns = _options.columns;
    this._sort = _options.sort ?? null;
    this._places = new RowPlaces(rowHeight);
    this._header = h('div', { role: 'row', class: 'mlops-row mlops-header', 'aria-rowindex': 1 });
    this._body = h('div', { role: 'rowgroup', class: 'mlops-body' });
    this.element = h(
      'div',
      {
        // Only the rows of a tree may unfold.
        role: this._options.detail ? 'treegrid' : 'grid',
        class: `mlops-table${fit ? ' mlops-fit' : ''}`,
        tabindex: 0,
        'aria-label': label,
        'aria-multiselectable': selectable ? 'true' : null,
        on: { scroll: () => this._later(), keydown: event => this._pressed(event), focus: () => this._draw() }
      },
      h('div', { role: 'rowgroup', class: 'mlops-head' }, this._header), this._body
    );
    this.element.style.setProperty('--mlops-row-height', `${rowHeight}px`);
    this._watch = new ResizeObserver(() => this._later());
    this._watch.observe(this.element);
    this._measure = new ResizeObserver(entries => this._measured(entries));
    this._drawHeader();
  }

  readonly element: HTMLElement;

  /**
   * The rows, in order; undefined stands for one that is not there yet. What is selected or unfolded stays so by its
   * key.
   */
  setRows(rows: readonly (Row | undefined)[]): void {
    this._given = rows;
    this._order();
  }

  /** Other columns. */
  setColumns(columns: readonly Column<Row>[]): void {
    this._columns = columns;
    this._drawHeader();
    this._order();
  }

  /** What the table is sorted by, shown in its headers. */
  set sort(sort: Sort | null) {
    this._sort = sort;
    this._drawHeader();
    this._order();
  }

  /** The keys of the selected rows, in the order they were selected. */
  get selected(): string[] {
    return [...this._selected];
  }

  set selected(keys: readonly string[]) {
    this._selected = new Set(keys);
    this.redraw();
  }

  /** The keys of the unfolded rows. */
  get unfolded(): string[] {
    return [...this._unfolded];
  }

  set unfolded(keys: readonly string[]) {
    this._unfolded = new Set(keys);
    this.redraw();
  }

  /** Scroll to a row, make it the active one, and unfold it where rows unfold. False when no row has this key. */
  reveal(key: string, unfold = true): boolean {
    const index = this._rows.findIndex(row => row !== undefined && this._options.key(row) === key);
    if (index < 0) {
      return false;
    }
    if (unfold && this._options.detail) {
      this._unfolded.add(key);
    }
    this._active = index;
    this.redraw();
    this.element.scrollTop = Math.max(0, this._places.top(index) - this._places.rowHeight);
    this._later();
    return true;
  }

  dispose(): void {
    this._watch.disconnect();
    this._measure.disconnect();
    cancelAnimationFrame(this._frame);
  }

  private _order(): void {
    const by = this._sort && !this._options.onSort && this._columns.find(column => column.id === this._sort?.column);
    const value = by && by.value;
    if (value) {
      const { descending } = this._sort as Sort;
      const there = this._given.filter((row): row is Row => row !== undefined).map(row => ({ row, value: value(row) }));
      this._rows = there.sort((a, b) => compare(a.value, b.value, descending)).map(item => item.row);
    } else {
      this._rows = this._given;
    }
    this._active = Math.min(this._active, Math.max(0, this._rows.length - 1));
    this.element.setAttribute('aria-rowcount', String(this._rows.length + 1));
    this.redraw();
  }

  private _drawHeader(): void {
    const tracks = this._columns.map(column => column.width ?? 'minmax(0, 1fr)');
    this.element.style.setProperty(
      '--mlops-columns',
      [...(this._options.selectable ? ['24px'] : []), ...tracks].join(' ')
    );
    this.element.setAttribute('aria-colcount', String(tracks.length + (this._options.selectable ? 1 : 0)));
    const header = (column: Column<Row>): HTMLElement =>
      headerCell(column, this._sort, () => this._sortBy(nextSort(this._sort, column.id, column.numeric ?? false)));
    fillWith(this._header, this._options.selectable && selectHeader(), this._columns.map(header));
  }

  private _sortBy(sort: Sort): void {
    const inside = this._header.contains(document.activeElement);
    this._sort = sort;
    this._drawHeader();
    if (inside) {
      this._header.querySelector<HTMLElement>(`[data-column="${CSS.escape(sort.column)}"] button`)?.focus();
    }
    this._options.onSort ? this._options.onSort(sort) : this._order();
  }

  private _later(): void {
    if (!this._frame) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        this._draw();
      });
    }
  }

  /** Draw every row on view anew: what its cells show has changed. */
  redraw(): void {
    for (const shown of this._shown.values()) {
      shown.remove();
    }
    this._shown.clear();
    this._measure.disconnect();
    this._setExtras();
    this._draw();
  }

  private _setExtras(): void {
    const extras = new Map<number, number>();
    if (this._unfolded.size) {
      this._rows.forEach((row, index) => {
        const key = row === undefined ? '' : this._options.key(row);
        if (row !== undefined && this._unfolded.has(key)) {
          extras.set(index, this._heights.get(key) ?? 120);
        }
      });
    }
    this._places.setExtras(extras);
    this._body.style.height = `${this._places.top(this._rows.length)}px`;
  }

  private _draw(): void {
    const count = this._rows.length;
    const view = this._options.fit ? Infinity : this.element.clientHeight || 400;
    const [first, end] = this._options.fit ? [0, count] : this._places.window(this.element.scrollTop, view, count);
    for (const [index, shown] of this._shown) {
      if (index < first || index >= end) {
        shown.remove();
        this._shown.delete(index);
      }
    }
    for (let index = first; index < end; index += 1) {
      let shown = this._shown.get(index);
      if (!shown) {
        shown = this._row(index);
        this._shown.set(index, shown);
        // The page's order is the table's.
        const next = nextOf(this._shown.keys(), index);
        this._body.insertBefore(shown, next === null ? null : (this._shown.get(next) ?? null));
      }
      shown.style.transform = `translateY(${this._places.top(index)}px)`;
      shown.classList.toggle('mlops-active', index === this._active);
    }
    const active = this._shown.get(this._active)?.firstElementChild;
    active
      ? this.element.setAttribute('aria-activedescendant', active.id)
      : this.element.removeAttribute('aria-activedescendant');
    if (this._options.onView && `${first} ${end} ${count}` !== this._viewed) {
      this._viewed = `${first} ${end} ${count}`;
      this._options.onView(first, end);
    }
  }

  private _row(index: number): HTMLElement {
    const row = this._rows[index];
    const holder = h('div', { class: 'mlops-place', role: 'presentation' });
    const state = { id: `${this._id}-${index}`, index };
    if (row === undefined) {
      holder.appendChild(waitingRow(state));
      return holder;
    }
    const { selectable, detail, key: keyOf, name } = this._options;
    const key = keyOf(row);
    const unfolded = detail && this._unfolded.has(key);
    const selected = selectable ? this._selected.has(key) : undefined;
    const clicked = (event: MouseEvent): void => this._clicked(event, index);
    holder.appendChild(drawRow(this._columns, row, key, name?.(row) ?? key, { ...state, selected, unfolded }, clicked));
    if (detail && unfolded) {
      holder.classList.add('mlops-open');
      holder.appendChild(this._detail(detail(row), key));
    }
    return holder;
  }

  private _detail(shown: HTMLElement, key: string): HTMLElement {
    const content = h('div', { class: 'mlops-detail', data: { detail: key } }, shown);
    const columns = this._columns.length + (this._options.selectable ? 1 : 0);
    const line = detailRow(content, columns, () => {
      this._fold(key, false);
      this.element.focus();
    });
    this._measure.observe(content);
    return line;
  }

  private _measured(entries: readonly ResizeObserverEntry[]): void {
    for (const entry of entries) {
      const key = entry.target.getAttribute('data-detail');
      if (key !== null && entry.target.isConnected) {
        this._heights.set(key, (entry.target as HTMLElement).offsetHeight);
      }
    }
    this._setExtras();
    this._draw();
  }

  private _clicked(event: MouseEvent, index: number): void {
    const row = this._rows[index];
    const target = event.target as Element;
    if (row === undefined) {
      return;
    }
    const from = this._active;
    this._active = index;
    if (target.closest('.mlops-check')) {
      const on = !this._selected.has(this._options.key(row));
      this._select(event.shiftKey ? between(from, index) : [index], on);
    } else if (!target.closest('button, a, input, select')) {
      if (event.ctrlKey || event.metaKey) {
        this._select([index], !this._selected.has(this._options.key(row)));
      } else {
        this._open(row);
      }
    }
  }

  private _open(row: Row): void {
    const key = this._options.key(row);
    if (this._options.detail) {
      this._fold(key, !this._unfolded.has(key));
    } else {
      this._options.onOpen?.(row);
      this._draw();
    }
  }

  private _fold(key: string, open: boolean): void {
    open ? this._unfolded.add(key) : this._unfolded.delete(key);
    this.redraw();
  }

  private _select(indices: readonly number[], on: boolean): void {
    for (const index of indices) {
      const row = this._rows[index];
      if (row !== undefined) {
        on ? this._selected.add(this._options.key(row)) : this._selected.delete(this._options.key(row));
      }
    }
    this.redraw();
    this._options.onSelect?.(this.selected);
  }

  private _pressed(event: KeyboardEvent): void {
    const target = event.target as Element;
    if (target !== this.element && target.getAttribute('type') !== 'checkbox') {
      return;
    }
    const page = Math.max(1, Math.floor(this.element.clientHeight / this._places.rowHeight) - 2);
    const to = moved(event.key, this._active, this._rows.length, page);
    const row = this._rows[this._active];
    if (to !== null) {
      this._move(to);
    } else if (event.key === ' ' && this._options.selectable && row !== undefined) {
      this._select([this._active], !this._selected.has(this._options.key(row)));
    } else if (event.key === 'Enter' && row !== undefined) {
      this._open(row);
    } else if (event.key === 'Escape' && row !== undefined && this._unfolded.has(this._options.key(row))) {
      this._fold(this._options.key(row), false);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  private _move(index: number): void {
    this._active = index;
    const top = this._places.top(index);
    const view = this.element.clientHeight - this._header.offsetHeight;
    this.element.scrollTop = scrolled(this.element.scrollTop, view, top, top + this._places.rowHeight);
    this._draw();
  }

  private _columns: readonly Column<Row>[];
  private _given: readonly (Row | undefined)[] = [];
  private _rows: readonly (Row | undefined)[] = [];
  private _sort: Sort | null;
  private _active = 0;
  private _frame = 0;
  private _viewed = '';
  private _selected = new Set<string>();
  private _unfolded = new Set<string>();
  private readonly _id = unique('mlops-row');
  private readonly _heights = new Map<string, number>();
  private readonly _shown = new Map<number, HTMLElement>();
  private readonly _places: RowPlaces;
  private readonly _header: HTMLElement;
  private readonly _body: HTMLElement;
  private readonly _watch: ResizeObserver;
  private readonly _measure: ResizeObserver;
}
