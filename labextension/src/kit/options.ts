import type { Column } from './drawing';
import type { Sort } from './rows';

/** How a table is made. */
export interface TableOptions<Row> {
  /** What it lists, for screen readers. */
  label: string;
  columns: readonly Column<Row>[];
  /** What tells one row from others; selection and unfolded rows stay with it. */
  key(row: Row): string;
  /** What a row is called, for the label of its check box. */
  name?(row: Row): string;
  rowHeight?: number;
  sort?: Sort | null;
  /** When given, the owner sorts (and gives new rows); else the table does. */
  onSort?(sort: Sort): void;
  /** Check boxes for selecting rows. */
  selectable?: boolean;
  onSelect?(keys: string[]): void;
  /** What unfolds below a row when it is pressed; made anew each time the row unfolds or its rows are given again. */
  detail?(row: Row): HTMLElement;
  /** A row was pressed, or Enter was on it, where there is no `detail`. */
  onOpen?(row: Row): void;
  /** Other rows are on view: from `from` to before `to`. Some may not be there yet (undefined in `setRows`). */
  onView?(from: number, to: number): void;
  /** The table is as tall as its rows (for short ones inside something else) instead of filling its place. */
  fit?: boolean;
}
