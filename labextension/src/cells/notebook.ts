import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import type { Cell, CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import { PathExt } from '@jupyterlab/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { Change } from '../context';
import { t } from '../kit/texts';
import type { IPanel } from '../panel';
import type { Run } from '../records';
import type { Settings } from '../settings';
import { CellBadges } from './badges';
import { FactBook, NOTHING, type BadgeRun } from './facts';
import type { KernelLine } from './line';
import { popover } from './popover';
import type { Told } from './told';

const PAUSE = 400;
const MOST_RUNS = 500;

/** The badges of one notebook as it is shown: what its kernel, its saved outputs and the server tell of its cells. */
export class NotebookBadges implements IDisposable {
  constructor(
    private readonly _notebook: NotebookPanel,
    private readonly _line: KernelLine,
    private readonly _settings: Settings,
    private readonly _panel: IPanel | null
  ) {
    _line.told.connect(this._onTold, this);
    _settings.changed.connect(this._soon, this);
    _panel?.context.changed.connect(this._onChanged, this);
    _notebook.context.saveState.connect(this._onSave, this);
    NotebookActions.executed.connect(this._onExecuted, this);
    _notebook.disposed.connect(() => this.dispose());
    void _notebook.context.ready.then(() => this._begin());
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** How many cells are stale. */
  get stale(): number {
    return this._book.stale.length;
  }

  /** Tell all of the active cell in the box of details; whether there was something to tell. */
  explain(): boolean {
    const cell = this._notebook.content.activeCell;
    return cell !== null && (this._badges.get(cell)?.explain() ?? false);
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      window.clearTimeout(this._judging);
      popover.close(false);
      this._badges.forEach(badges => badges.dispose());
      Signal.clearData(this);
    }
  }

  private _begin(): void {
    if (this._isDisposed) {
      return;
    }
    this._notebook.content.model?.cells.changed.connect(this._soon, this);
    this._notebook.content.modelContentChanged.connect(this._soon, this);
    this._draw();
    this._judgeSoon();
  }

  private _onTold(_: KernelLine, told: Told | null): void {
    if (told) {
      this._book.take(told);
      const runs = told.kind === 'cell' || told.kind === 'state' ? told.runs : undefined;
      const path = this._notebook.context.localPath;
      this._panel?.context.hear({ ...told, notebook: path, tracking: told.tracking, ...(runs ? { runs } : {}) } as any);
    } else {
      this._book.forgetKernel();
    }
    this._soon();
  }

  private _onExecuted(_: unknown, { notebook, cell }: { notebook: unknown; cell: Cell }): void {
    if (notebook === this._notebook.content && this._line.tracking === 'paused') {
      this._book.forget(cell.model.id);
      this._soon();
    }
  }

  private _onChanged(_: unknown, changes: readonly Change[]): void {
    if (changes.includes('runs')) {
      this._judgeSoon();
    }
  }

  private _onSave(_: unknown, state: string): void {
    if (state.startsWith('completed')) {
      this._line.look();
    }
  }

  /** Ask the server how the replays of this notebook's runs ended, where it has any. */
  private _judgeSoon(): void {
    window.clearTimeout(this._judging);
    this._judging = window.setTimeout(() => void this._judge(), PAUSE);
  }

  private async _judge(): Promise<void> {
    const context = this._panel?.context;
    if (!context || !this._book.hasRuns || this._isDisposed) {
      return;
    }
    const notebook = this._notebook.context.localPath;
    const folder = PathExt.dirname(notebook).replace(/^\.$/, '');
    try {
      const { runs } = await context.server.ask<{ runs: Run[] }>('runs', { notebook, limit: MOST_RUNS }, folder);
      const judged = runs.filter(run => run.replay);
      this._book.judge(new Map(judged.flatMap(run => [run.id, run.own_id].map(id => [id, run.replay ?? ''] as const))));
      this._soon();
    } catch {
      // The panel says what is wrong with the server; the badges show what the kernel tells.
    }
  }

  /** Draw once for all that changes at once. */
  private _soon(): void {
    if (!this._waiting && !this._isDisposed) {
      this._waiting = true;
      queueMicrotask(() => {
        this._waiting = false;
        if (!this._isDisposed) {
          this._draw();
        }
      });
    }
  }

  private _draw(): void {
    const kinds = this._settings.choices.badges;
    const cells = new Set<Cell>(this._notebook.content.widgets);
    for (const [cell, badges] of this._badges) {
      if (!cells.has(cell) || cell.isDisposed) {
        badges.dispose();
        this._badges.delete(cell);
      }
    }
    for (const cell of cells) {
      if (cell.model.type === 'code') {
        const facts = this._factsOf(cell as CodeCell);
        const badges = this._badges.get(cell);
        if (badges || facts !== NOTHING) {
          (badges ?? this._badgesOf(cell as CodeCell)).show(facts, kinds);
        }
      }
    }
  }

  private _factsOf(cell: CodeCell): typeof NOTHING {
    const { id } = cell.model;
    this._follow(cell.model);
    this._book.keep(id, savedRuns(cell.model));
    const facts = this._book.of(id, cell.model.isDirty, t('Its code was edited since it ran.'));
    return facts.runs.length || facts.stale.length || facts.hidden.length ? facts : NOTHING;
  }

  private _badgesOf(cell: CodeCell): CellBadges {
    const reveal = this._panel ? (run: string) => this._panel?.reveal(run) : undefined;
    const made = new CellBadges(cell.node, { reveal, rerun: () => void this._rerun(cell) });
    this._badges.set(cell, made);
    return made;
  }

  private async _rerun(cell: CodeCell): Promise<void> {
    const { content, sessionContext } = this._notebook;
    content.activeCellIndex = content.widgets.indexOf(cell);
    content.deselectAll();
    await NotebookActions.run(content, sessionContext);
  }

  /** Hear when the code of a cell is edited, and when its outputs come and go. */
  private _follow(model: ICodeCellModel): void {
    if (!this._followed.has(model)) {
      this._followed.add(model);
      model.stateChanged.connect(this._soon, this);
      model.outputs.changed.connect(this._soon, this);
    }
  }

  private readonly _book = new FactBook();
  private readonly _badges = new Map<Cell, CellBadges>();
  private readonly _followed = new WeakSet<ICodeCellModel>();
  private _judging = 0;
  private _waiting = false;
  private _isDisposed = false;
}

/** The runs that the saved outputs of a cell are of: the line below a result tells its run. */
function savedRuns(model: ICodeCellModel): BadgeRun[] {
  const runs: BadgeRun[] = [];
  for (let index = 0; index < model.outputs.length; index += 1) {
    const mark = model.outputs.get(index).metadata.jupyter_mlops as { run?: unknown; name?: unknown } | undefined;
    if (mark && typeof mark.run === 'string' && mark.run) {
      runs.push({ id: mark.run, name: typeof mark.name === 'string' && mark.name ? mark.name : mark.run.slice(0, 8) });
    }
  }
  return runs;
}
