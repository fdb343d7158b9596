/** A page of a long list, and how long the list is. */
export interface Page<Row> {
  rows: Row[];
  total: number;
}

/** Rows of one page that is asked for. */
export const PAGE = 50;

/**
 * A long list of which only the pages that were looked at are here: null stands for a row that is not. Pages are
 * asked for as they come on view; an answer that came too late (the list was begun anew meanwhile) is dropped. Pure
 * but for `ask`.
 */
export class Pages<Row> {
  /** `ask` fetches rows from an offset on; `changed` hears when `rows` are others, `failed` when asking failed. */
  constructor(
    private readonly _ask: (offset: number, limit: number) => Promise<Page<Row>>,
    private readonly _changed: () => void,
    private readonly _failed: (error: unknown) => void
  ) {}

  /** All rows of the list. */
  rows: (Row | null)[] = [];

  /** Whether the list has been answered since it was begun. */
  known = false;

  /** Begin anew: another filter or order. What is shown stays until the first page is there. */
  restart(): Promise<void> {
    this.known = false;
    this._begun += 1;
    this._from = 0;
    this._to = PAGE;
    return this.refresh();
  }

  /**
   * Ask for what is on view again, because it may have changed. Calls during an answer are one more question after
   * it.
   */
  async refresh(): Promise<void> {
    if (this._refreshing) {
      this._again = true;
      return;
    }
    this._refreshing = true;
    try {
      do {
        this._again = false;
        await this._renew();
      } while (this._again);
    } finally {
      this._refreshing = false;
    }
  }

  /** Rows from `from` to before `to` are on view: ask for the pages of them that are not here. */
  want(from: number, to: number): void {
    this._from = from;
    this._to = to;
    for (let page = Math.floor(from / PAGE); page * PAGE < Math.min(to, this.rows.length); page += 1) {
      const rows = this.rows.slice(Math.max(page * PAGE, from), Math.min((page + 1) * PAGE, to));
      if (rows.some(row => row === null) && !this._asked.has(page)) {
        void this._load(page);
      }
    }
  }

  private async _renew(): Promise<void> {
    const begun = this._begun;
    const first = Math.floor(this._from / PAGE) * PAGE;
    const limit = Math.max(PAGE, Math.ceil((this._to - first) / PAGE) * PAGE);
    try {
      let { rows, total } = await this._ask(first, limit);
      if (!rows.length && first > 0) {
        // The list got shorter than the place that was looked at.
        this._from = 0;
        this._to = PAGE;
        ({ rows, total } = await this._ask(0, PAGE));
      }
      if (begun === this._begun) {
        this._drawn += 1;
        this._put([], Math.min(first, Math.floor(this._from / PAGE) * PAGE), rows, total);
      }
    } catch (error) {
      if (begun === this._begun) {
        this._failed(error);
      }
    }
  }

  private async _load(page: number): Promise<void> {
    const drawn = this._drawn;
    this._asked.add(page);
    try {
      const { rows, total } = await this._ask(page * PAGE, PAGE);
      // Rows of a list that was asked for anew meanwhile may have moved.
      if (drawn === this._drawn) {
        this._put(this.rows, page * PAGE, rows, total);
      }
    } catch (error) {
      if (drawn === this._drawn) {
        this._failed(error);
      }
    } finally {
      this._asked.delete(page);
    }
  }

  private _put(known: readonly (Row | null)[], offset: number, rows: readonly Row[], total: number): void {
    const length = Math.max(total, offset + rows.length);
    const all = Array.from<unknown, Row | null>({ length }, (_, index) => known[index] ?? null);
    rows.forEach((row, index) => (all[offset + index] = row));
    this.rows = all;
    this.known = true;
    this._changed();
  }

  private _from = 0;
  private _to = PAGE;
  private _begun = 0;
  private _drawn = 0;
  private _refreshing = false;
  private _again = false;
  private readonly _asked = new Set<number>();
}
