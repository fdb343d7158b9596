import type { Told, ToldRun } from './told';

/** A run as a badge shows it; of one that an earlier session made, only its id and name are known. */
export type BadgeRun = Pick<ToldRun, 'id' | 'name'> & Partial<ToldRun>;

/** What is known of one cell. */
export interface Facts {
  /** The runs that its last execution made, in the order in which they began. */
  runs: readonly BadgeRun[];
  /** Why its output is stale, in sentences; empty when it is not. */
  stale: readonly string[];
  /** What a restart and a run of all cells would make of it; empty when nothing else. */
  hidden: readonly string[];
  /** The verdict of the last replay of its last run: identical, tolerance or different. */
  verdict: string;
}

/** Nothing is known of a cell. */
export const NOTHING: Facts = { runs: [], stale: [], hidden: [], verdict: '' };

/** What a kernel, the saved outputs and the server together tell of the cells of one notebook. Pure. */
export class FactBook {
  /** Take in what a kernel tells. */
  take(told: Told): void {
    switch (told.kind) {
      case 'state':
        this.forgetKernel();
        Object.entries(told.cells).forEach(([cell, seq]) => this._seqs.set(cell, seq));
        told.runs.forEach(run => this._runs.set(run.cell, [...(this._runs.get(run.cell) ?? []), run]));
        break;
      case 'cell':
        this._seqs.set(told.cell, told.seq);
        // What it made before is not what stands below it now; the kernel tells anew whether it is stale.
        this._runs.delete(told.cell);
        this._stale.delete(told.cell);
        this._hidden.delete(told.cell);
        told.runs.forEach(run => this._add(run, told.cell));
        break;
      case 'status':
        this._stale = new Map(Object.entries(told.stale));
        this._hidden = new Map(Object.entries(told.hidden));
        break;
    }
  }

  /** The kernel ended or started anew: what it told holds no longer. */
  forgetKernel(): void {
    for (const known of [this._seqs, this._runs, this._stale, this._hidden]) {
      known.clear();
    }
  }

  /** A cell was run while nothing was recorded: what is known of it is not of the output that it has now. */
  forget(cell: string): void {
    this._runs.set(cell, []);
    this._stale.delete(cell);
    this._hidden.delete(cell);
  }

  /** What a cell's saved outputs tell of its runs. */
  keep(cell: string, runs: readonly BadgeRun[]): void {
    this._saved.set(cell, runs);
  }

  /** The verdicts of replays, by the ids of runs. */
  judge(verdicts: ReadonlyMap<string, string>): void {
    this._verdicts = verdicts;
  }

  /** Whether any cell has a run. */
  get hasRuns(): boolean {
    return [...this._runs.values(), ...this._saved.values()].some(runs => runs.length > 0);
  }

  /** The cells that are stale. */
  get stale(): readonly string[] {
    return [...this._stale.keys()];
  }

  /** What is known of a cell; `edited` when its code is no longer what was run, and `why` says so. */
  of(cell: string, edited: boolean, why: string): Facts {
    const executed = this._seqs.has(cell);
    const runs = (executed ? this._runs.get(cell) : this._saved.get(cell)) ?? [];
    const told = this._stale.get(cell) ?? [];
    const stale = executed && edited && !told.some(reason => reason.includes('was edited')) ? [why, ...told] : told;
    const last = runs[runs.length - 1] as BadgeRun | undefined;
    const verdict = last ? this._verdicts.get(last.id) ?? last.replay ?? '' : '';
    return { runs, stale, hidden: this._hidden.get(cell) ?? [], verdict };
  }

  /** A run that the execution of a cell made or added to; the badge stands at the cell that made it. */
  private _add(run: ToldRun, executed: string): void {
    const known = this._runs.get(run.cell) ?? [];
    const index = known.findIndex(other => other.id === run.id);
    if (index >= 0) {
      this._runs.set(run.cell, known.map((other, at) => (at === index ? run : other)));
    } else if (run.cell === executed) {
      this._runs.set(run.cell, [...known, run]);
    }
  }

  private readonly _seqs = new Map<string, number>();
  private readonly _runs = new Map<string, readonly BadgeRun[]>();
  private readonly _saved = new Map<string, readonly BadgeRun[]>();
  private _stale = new Map<string, readonly string[]>();
  private _hidden = new Map<string, readonly string[]>();
  private _verdicts: ReadonlyMap<string, string> = new Map();
}
