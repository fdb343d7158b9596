import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Widget } from '@lumino/widgets';

import { SnapshotRows } from '../comparing/rows';
import type { Change, Context } from '../context';
import { button, fillWith, h } from '../kit/dom';
import { emptyState, errorState, loadingState } from '../kit/empty';
import { count } from '../kit/format';
import { t } from '../kit/texts';
import type { SnapshotList, SnapshotView } from '../records';
import { asServerError } from '../server';
import { openDiff, openSnapshot } from './compare';
import type { Section } from './section';

const PAGE = 50;
const PAUSE = 250;

/** The section Data: the snapshots of the project, what they hold, how they differ, and which runs used them. */
export function dataSection(context: Context, app: JupyterFrontEnd): Section {
  return new Data(context, app);
}

class Data implements Section {
  constructor(
    private readonly _context: Context,
    private readonly _app: JupyterFrontEnd
  ) {
    this._search = h('input', {
      type: 'search',
      class: 'mlops-input',
      placeholder: t('Search by name, column or digest'),
      'aria-label': t('Search snapshots'),
      on: { input: () => this._sought() }
    });
    this._compare = button(t('Compare'), () => this._openDiff(), {
      disabled: true,
      title: t('Choose two snapshots to compare them')
    });
    this._said = h('div', { class: 'mlops-runs-said', role: 'status' });
    this._rows = new SnapshotRows({
      look: digest => this._look(digest),
      open: digest => openSnapshot(this._app, this._context, digest),
      reveal: run => this._context.want(run),
      chosen: () => this._chosen(),
      unfolded: () => this._context.keep()
    });
    this._state = h('div', {}, loadingState());
    this._more = button(t('Show more'), () => void this._load(this._shown + PAGE));
    const foot = h('div', { class: 'mlops-data-more' }, this._more);
    const bar = h('div', { class: 'mlops-toolbar' }, h('div', { class: 'mlops-grow' }, this._search), this._compare);
    const place = h('div', { class: 'mlops-data-list' }, this._state, this._rows.element, foot);
    this._more.hidden = true;
    this.widget = new Widget({ node: h('div', { class: 'mlops-view mlops-data-section' }, bar, this._said, place) });
  }

  readonly id = 'data';
  readonly title = t('Data');
  readonly widget: Widget;
  readonly concerns: readonly Change[] = ['runs', 'models'];

  refresh(): void {
    if (this._folder !== this._context.folder) {
      this._folder = this._context.folder;
      this._shown = PAGE;
      this._rows.clear();
    }
    void this._load(this._shown);
  }

  setVisible(visible: boolean): void {
    if (!visible) {
      window.clearTimeout(this._waiting);
    }
  }

  remember(): Record<string, unknown> {
    return { search: this._search.value, open: this._rows.open };
  }

  restore(remembered: Record<string, unknown>): void {
    this._search.value = typeof remembered.search === 'string' ? remembered.search : '';
    this._rows.open = typeof remembered.open === 'string' ? remembered.open : '';
  }

  /** Unfold a snapshot, given by its digest. */
  reveal(digest: string): void {
    this._search.value = digest;
    this._rows.open = digest;
    this.refresh();
  }

  private _sought(): void {
    window.clearTimeout(this._waiting);
    this._waiting = window.setTimeout(() => {
      this._shown = PAGE;
      this._context.keep();
      void this._load(PAGE);
    }, PAUSE);
  }

  /** Ask for the first so many snapshots; an answer that was overtaken by a later question is dropped. */
  private async _load(limit: number): Promise<void> {
    const turn = ++this._turn;
    const search = this._search.value.trim();
    const folder = this._context.folder;
    try {
      const list = await this._context.server.ask<SnapshotList>('snapshots', { search, limit }, folder);
      if (turn === this._turn) {
        this._shown = limit;
        this._show(list, search);
      }
    } catch (error) {
      if (turn === this._turn) {
        this._rows.show([]);
        this._more.hidden = true;
        fillWith(this._said, '');
        fillWith(
          this._state,
          errorState(asServerError(error).message, () => this.refresh())
        );
      }
    }
  }

  private _show(list: SnapshotList, search: string): void {
    const { snapshots, total } = list;
    this._rows.show(snapshots);
    this._more.hidden = snapshots.length >= total;
    fillWith(this._said, total ? (total === 1 ? t('1 snapshot') : t('%1 snapshots', count(total))) : '');
    if (snapshots.length) {
      fillWith(this._state);
    } else if (search) {
      fillWith(
        this._state,
        emptyState(t('No snapshot is called so'), t('Search for a name, a column, a kind, or a digest.'), [], 'search')
      );
    } else {
      const hint = t('Fit a model in a tracked notebook, or write: %mlops snapshot NAME, with a variable or file.');
      fillWith(this._state, emptyState(t('No data is kept yet'), hint, [], 'data'));
    }
  }

  private _look(digest: string): Promise<SnapshotView> {
    return this._context.server.ask<SnapshotView>('snapshot', { digest }, this._context.folder);
  }

  private _chosen(): void {
    const chosen = this._rows.chosen.length;
    this._compare.disabled = chosen !== 2;
    this._compare.classList.toggle('mlops-primary', chosen === 2);
  }

  /** The earlier of the two chosen is what the later one is compared with. */
  private _openDiff(): void {
    const [a, b] = [...this._rows.chosen].sort((one, other) => one.created - other.created);
    if (a && b) {
      openDiff(this._app, this._context, a.digest, b.digest, [a.name, b.name]);
    }
  }

  private readonly _search: HTMLInputElement;
  private readonly _compare: HTMLButtonElement;
  private readonly _more: HTMLButtonElement;
  private readonly _said: HTMLElement;
  private readonly _state: HTMLElement;
  private readonly _rows: SnapshotRows;
  private _folder: string | null = null;
  private _shown = PAGE;
  private _turn = 0;
  private _waiting = 0;
}
