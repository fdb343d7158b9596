/**
 * Where the rows of a virtual table lie: all are equally tall, but for what is unfolded below some of them. Pure: no
 * page.
 */
export class RowPlaces {
  constructor(readonly rowHeight: number) {}

  /** Say which rows have something unfolded below them, by index, and how tall that is. */
  setExtras(extras: ReadonlyMap<number, number>): void {
    this._extras = [...extras].filter(([, height]) => height > 0).sort(([a], [b]) => a - b);
  }

  /** How far down a row begins. */
  top(index: number): number {
    let top = index * this.rowHeight;
    for (const [unfolded, height] of this._extras) {
      if (unfolded >= index) {
        break;
      }
      top += height;
    }
    return top;
  }

  /** How tall a row is, with what is unfolded below it. */
  height(index: number): number {
    return this.rowHeight + (this._extras.find(([unfolded]) => unfolded === index)?.[1] ?? 0);
  }

  /** The row that lies at a height; the first or last one beyond the ends. */
  at(y: number, count: number): number {
    let above = 0;
    for (const [unfolded, height] of this._extras) {
      const bottom = (unfolded + 1) * this.rowHeight + above + height;
      if (y < bottom) {
        const within = Math.floor((y - above) / this.rowHeight);
        return clamp(Math.min(within, unfolded), count);
      }
      above += height;
    }
    return clamp(Math.floor((y - above) / this.rowHeight), count);
  }

  /** The rows that a window from `y` on shows, and some more on both sides: [first, last + 1]. */
  window(y: number, height: number, count: number, more = 6): [number, number] {
    if (!count) {
      return [0, 0];
    }
    return [Math.max(0, this.at(y, count) - more), Math.min(count, this.at(y + height, count) + 1 + more)];
  }

  private _extras: [number, number][] = [];
}

/** What a table is sorted by. */
export interface Sort {
  column: string;
  descending: boolean;
}

/** The next sort when the header of a column is pressed: largest first for numbers, then the other way round. */
export function nextSort(sort: Sort | null, column: string, numeric: boolean): Sort {
  return sort?.column === column ? { column, descending: !sort.descending } : { column, descending: numeric };
}

/**
 * The row that a key leads to from another one; null for a key that does not move. `page` is how many rows are on
 * view.
 */
export function moved(key: string, from: number, count: number, page: number): number | null {
  const steps: Record<string, number> = {
    ArrowDown: 1,
    ArrowUp: -1,
    PageDown: page,
    PageUp: -page,
    Home: -Infinity,
    End: Infinity
  };
  return key in steps ? clamp(from + steps[key], count) : null;
}

/** Where a window is to be scrolled to so that it shows what lies between two heights; as it is where it does. */
export function scrolled(from: number, height: number, top: number, bottom: number): number {
  return top < from ? top : Math.max(from, bottom - height);
}

/** The least of some numbers that is greater than one; null when none is. */
export function nextOf(numbers: Iterable<number>, than: number): number | null {
  let next: number | null = null;
  for (const other of numbers) {
    if (other > than && (next === null || other < next)) {
      next = other;
    }
  }
  return next;
}

/** All whole numbers between two, these included, whichever is the greater. */
export function between(from: number, to: number): number[] {
  const first = Math.min(from, to);
  return Array.from({ length: Math.abs(from - to) + 1 }, (_, step) => first + step);
}

/**
 * Compare two values of a column: numbers by size, texts by their words and numbers; what is missing comes last
 * either way.
 */
export function compare(a: unknown, b: unknown, descending: boolean): number {
  const [lacksA, lacksB] = [lacking(a), lacking(b)];
  if (lacksA || lacksB) {
    return Number(lacksA) - Number(lacksB);
  }
  const order = typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b));
  return descending ? -order : order;
}

const collator = new Intl.Collator(undefined, { numeric: true });

function lacking(value: unknown): boolean {
  return value === null || value === undefined || value === '' || (typeof value === 'number' && Number.isNaN(value));
}

function clamp(index: number, count: number): number {
  return Math.max(0, Math.min(count - 1, index));
}
