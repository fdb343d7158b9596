import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import { Signal, type ISignal } from '@lumino/signaling';

import type { IPanel } from '../panel';
import type { Settings } from '../settings';
import { KernelLine, type Tracking } from './line';
import { NotebookBadges } from './notebook';

/** What the commands may ask of the cells of the current notebook. */
export interface ICells {
  /** How the kernel of the current notebook stands; "none" without a notebook. */
  readonly tracking: Tracking;

  /** It stands otherwise, or another notebook is current. */
  readonly changed: ISignal<ICells, void>;

  /** Track the current notebook, pause that, or go on. */
  toggle(): Promise<void>;

  /** Tell all of the active cell in a box of details; false when there is nothing to tell. */
  explain(): boolean;
}

/** How the commands ask for the cells. */
export const ICells = new Token<ICells>(
  '@jupyter-mlops/labextension:ICells',
  'Tracking and the badges of the current notebook.'
);

/** Every open notebook: its line to the kernel, and its badges. */
export class Notebooks implements ICells {
  constructor(
    private readonly _tracker: INotebookTracker,
    private readonly _settings: Settings,
    private readonly _panel: IPanel | null
  ) {
    _tracker.widgetAdded.connect((_, notebook) => this.lineOf(notebook));
    _tracker.currentChanged.connect(() => this._changed.emit());
    _tracker.forEach(notebook => this.lineOf(notebook));
  }

  get tracking(): Tracking {
    const notebook = this._tracker.currentWidget;
    return notebook ? this.lineOf(notebook).tracking : 'none';
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Something could not be done: why, and what to do. */
  get failed(): ISignal<this, string> {
    return this._failed;
  }

  async toggle(): Promise<void> {
    const notebook = this._tracker.currentWidget;
    await (notebook && this.lineOf(notebook).toggle());
  }

  explain(): boolean {
    const notebook = this._tracker.currentWidget;
    return notebook !== null && (this._badges.get(notebook)?.explain() ?? false);
  }

  /** The line to the kernel of a notebook; its badges are made with it. */
  lineOf(notebook: NotebookPanel): KernelLine {
    const known = this._lines.get(notebook);
    if (known) {
      return known;
    }
    const line = new KernelLine(notebook.sessionContext);
    this._lines.set(notebook, line);
    this._badges.set(notebook, new NotebookBadges(notebook, line, this._settings, this._panel));
    line.changed.connect(() => this._onChanged(notebook, line));
    line.failed.connect((_, message) => this._failed.emit(message));
    notebook.disposed.connect(() => {
      line.dispose();
      this._lines.delete(notebook);
      this._badges.delete(notebook);
    });
    return line;
  }

  private _onChanged(notebook: NotebookPanel, line: KernelLine): void {
    // Whoever unloaded tracking in a kernel wants it so: it is loaded once for each kernel.
    const kernel = notebook.sessionContext.session?.kernel;
    if (kernel && line.tracking === 'off' && this._settings.choices.trackAlways && !this._tried.has(kernel)) {
      this._tried.add(kernel);
      void line.load();
    }
    this._changed.emit();
  }

  private readonly _lines = new Map<NotebookPanel, KernelLine>();
  private readonly _badges = new Map<NotebookPanel, NotebookBadges>();
  private readonly _tried = new WeakSet<object>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _failed = new Signal<this, string>(this);
}
