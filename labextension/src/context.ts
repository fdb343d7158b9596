import { Signal, type ISignal } from '@lumino/signaling';

import type { Server } from './server';

/** What changed in a project: `runs`, `pipelines`, `models`, `schedules`; what a kernel told comes as `cells`. */
export type Change = 'runs' | 'pipelines' | 'models' | 'schedules' | 'cells' | 'place';

/** What a kernel tells after each cell and when tracking is switched; further fields belong to the cells' badges. */
export interface KernelWord {
  notebook: string;
  tracking: string;
  cell?: string;
  runs?: { id: string; name: string; status: string; metrics?: Record<string, number> }[];
  [detail: string]: unknown;
}

/** Where a context looks for the place that the reader is at; the sidebar answers from JupyterLab's own trackers. */
export interface Place {
  /**
   * The folder of the current notebook, else that of the file browser; relative to the server's root, "" is the root.
   */
  folder: string;
  /** The path of the current notebook; "" when there is none. */
  notebook: string;
}

/**
 * What every section gets: the server, the folder and notebook that the reader is at, and what changed.
 *
 * `refresh` of a section is called by the sidebar when something that it shows may have changed while it is on view;
 * sections that
 * want more (a kernel's own words, for instance) connect to the signals.
 */
export class Context {
  constructor(readonly server: Server) {}

  /** The folder that verbs are asked for. */
  get folder(): string {
    return this._place.folder;
  }

  /** The path of the current notebook, relative to the server's root; "" when there is none. */
  get notebook(): string {
    return this._place.notebook;
  }

  /** Whether the place is known; it is not while JupyterLab is still finding its tabs again. */
  get placed(): boolean {
    return this._placed;
  }

  /** Whether the panel is on view; while it is not, nothing is asked. */
  get visible(): boolean {
    return this._visible;
  }

  set visible(visible: boolean) {
    if (visible !== this._visible) {
      this._visible = visible;
      this._visibility.emit(visible);
    }
  }

  /** Something changed: in the project (told by the server while the panel is on view), in a kernel, or the place. */
  get changed(): ISignal<Context, Change[]> {
    return this._changed;
  }

  /** The panel came on view or went. */
  get visibility(): ISignal<Context, boolean> {
    return this._visibility;
  }

  /** A kernel told what its last cell made. */
  get told(): ISignal<Context, KernelWord> {
    return this._told;
  }

  /** Somebody asked to see a run in the section Runs, by its id: the panel shows it. */
  get wanted(): ISignal<Context, string> {
    return this._wanted;
  }

  /** Ask to see a run in the section Runs. */
  want(run: string): void {
    this._wanted.emit(run);
  }

  /** A section has something else to remember (see `Section.remember`). */
  get kept(): ISignal<Context, void> {
    return this._kept;
  }

  /** Have what the sections remember kept, a moment later. */
  keep(): void {
    this._kept.emit();
  }

  /** Go to another place; listeners hear `place` when it is another one. */
  move(place: Place): void {
    if (!this._placed || place.folder !== this._place.folder || place.notebook !== this._place.notebook) {
      this._place = place;
      this._placed = true;
      this._changed.emit(['place']);
    }
  }

  /** Tell that something changed: after a change of one's own, for instance, without waiting for the server's word. */
  touch(...changes: Change[]): void {
    this._changed.emit(changes);
  }

  /** Tell what a kernel said; the plugin of the cells does. */
  hear(word: KernelWord): void {
    this._told.emit(word);
    this._changed.emit(['cells']);
  }

  private _place: Place = { folder: '', notebook: '' };
  private _placed = false;
  private _visible = false;
  private readonly _changed = new Signal<Context, Change[]>(this);
  private readonly _visibility = new Signal<Context, boolean>(this);
  private readonly _kept = new Signal<Context, void>(this);
  private readonly _told = new Signal<Context, KernelWord>(this);
  private readonly _wanted = new Signal<Context, string>(this);
}
