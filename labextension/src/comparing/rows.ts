import { fillWith, h, unique } from '../kit/dom';
import { errorState, loadingState } from '../kit/empty';
import { ago, bytes, count, short } from '../kit/format';
import { iconButton } from '../kit/icons';
import { badge } from '../kit/status';
import { t } from '../kit/texts';
import { LocalModel } from '../model';
import type { ListedSnapshot, SnapshotView } from '../records';
import { asServerError } from '../server';
import snapshotView from '../views/snapshot';

/** What the rows ask of their owner. */
export interface RowsOptions {
  /** What one snapshot holds. */
  look(digest: string): Promise<SnapshotView>;
  /** Show it in a place of its own. */
  open(digest: string): void;
  reveal(run: string): void;
  /** Other snapshots are chosen now. */
  chosen(): void;
  /** Another one is unfolded now, or none. */
  unfolded(): void;
}

/** A list of snapshots: each can be chosen, and unfolds to what it holds. One is unfolded at a time. */
export class SnapshotRows {
  constructor(private readonly _options: RowsOptions) {}

  readonly element = h('ul', { class: 'mlops-snapshots', 'aria-label': t('Snapshots') });

  /** The digest of the snapshot that is unfolded; "" is none. */
  get open(): string {
    return this._open;
  }

  set open(digest: string) {
    this._open = digest;
  }

  /** The snapshots that are chosen, in the order in which they were. */
  get chosen(): readonly ListedSnapshot[] {
    return this._chosen;
  }

  /** Show these rows; what is unfolded and chosen stays so where it is still among them. */
  show(snapshots: readonly ListedSnapshot[]): void {
    const focused = this.element.contains(document.activeElement)
      ? document.activeElement?.getAttribute('data-key')
      : null;
    const kept = new Map([...this._rows].filter(([digest]) => digest === this._open));
    this._rows.clear();
    this._chosen = this._chosen.filter(chosen => snapshots.some(item => item.digest === chosen.digest));
    fillWith(
      this.element,
      snapshots.map(item => {
        const row = this._row(item, kept.get(item.digest));
        this._rows.set(item.digest, row);
        return row;
      })
    );
    this._options.chosen();
    if (focused) {
      this.element.querySelector<HTMLElement>(`[data-key="${focused}"]`)?.focus();
    }
  }

  /** Forget everything: these are the snapshots of another project. */
  clear(): void {
    this._chosen = [];
    this._rows.clear();
    fillWith(this.element);
  }

  private _row(item: ListedSnapshot, before: HTMLElement | undefined): HTMLElement {
    const name = item.name || t('%1 without a name', item.kind);
    const id = unique('mlops-snapshot');
    const choose = h('input', {
      type: 'checkbox',
      checked: this._chosen.some(chosen => chosen.digest === item.digest),
      'aria-label': t('Choose %1, %2', name, short(item.digest)),
      data: { key: `choose ${item.digest}` },
      on: { change: () => this._choose(item, choose.checked, row) }
    });
    const title = h('button', {
      type: 'button',
      class: 'mlops-snapshot-name',
      'aria-expanded': String(item.digest === this._open),
      'aria-controls': id,
      data: { key: `open ${item.digest}` },
      on: { click: () => this._toggle(item, row) }
    });
    const columns = item.schema.map(([column]) => column).join(', ');
    const used =
      item.used === 1
        ? t('used by 1 run')
        : item.used
          ? t('used by %1 runs', count(item.used))
          : t('not used by a run');
    fillWith(
      title,
      h('span', { class: 'mlops-snapshot-title', title: item.source || name }, name),
      h(
        'span',
        { class: 'mlops-snapshot-told' },
        [item.kind, shape(item), bytes(item.size)].filter(Boolean).join(' · ')
      ),
      columns ? h('span', { class: 'mlops-snapshot-told', title: columns }, columns) : null,
      h(
        'span',
        { class: 'mlops-snapshot-told' },
        [used, item.versions.join(', '), ago(item.created)].filter(Boolean).join(' · ')
      )
    );
    const kept = item.kept ? null : badge('plain', 'info', t('digest only'), t('The values are not in the store.'));
    const tab = iconButton('open', t('Open %1 in a tab', name), () => this._options.open(item.digest));
    const detail =
      before?.querySelector<HTMLElement>('.mlops-snapshot-detail') ?? h('div', { class: 'mlops-snapshot-detail' });
    detail.id = id;
    const row: HTMLElement = h(
      'li',
      { class: 'mlops-snapshot-row' },
      h('div', { class: 'mlops-snapshot-line' }, choose, title, kept, tab),
      detail
    );
    row.classList.toggle('mlops-chosen', choose.checked);
    detail.hidden = item.digest !== this._open;
    if (!detail.hidden && !before) {
      void this._fill(item.digest, detail);
    }
    return row;
  }

  private _choose(item: ListedSnapshot, chosen: boolean, row: HTMLElement): void {
    this._chosen = [...this._chosen.filter(other => other.digest !== item.digest), ...(chosen ? [item] : [])];
    row.classList.toggle('mlops-chosen', chosen);
    this._options.chosen();
  }

  private _toggle(item: ListedSnapshot, row: HTMLElement): void {
    const opened = this._open !== item.digest;
    this._fold(this._open);
    this._open = opened ? item.digest : '';
    if (opened) {
      const detail = row.querySelector<HTMLElement>('.mlops-snapshot-detail')!;
      row.querySelector('.mlops-snapshot-name')!.setAttribute('aria-expanded', 'true');
      detail.hidden = false;
      void this._fill(item.digest, detail);
    }
    this._options.unfolded();
  }

  private _fold(digest: string): void {
    const row = this._rows.get(digest);
    const detail = row?.querySelector<HTMLElement>('.mlops-snapshot-detail');
    if (row && detail) {
      row.querySelector('.mlops-snapshot-name')!.setAttribute('aria-expanded', 'false');
      detail.hidden = true;
      fillWith(detail);
    }
  }

  private async _fill(digest: string, detail: HTMLElement): Promise<void> {
    fillWith(detail, loadingState());
    try {
      const answer = await this._options.look(digest);
      if (this._open === digest) {
        const place = h('div');
        const model = new LocalModel({ answer, actions: ['reveal'] }, action =>
          this._options.reveal(String(action.run))
        );
        fillWith(detail, place);
        snapshotView.render({ model, el: place });
      }
    } catch (error) {
      fillWith(
        detail,
        errorState(asServerError(error).message, () => void this._fill(digest, detail))
      );
    }
  }

  private _open = '';
  private _chosen: readonly ListedSnapshot[] = [];
  private readonly _rows = new Map<string, HTMLElement>();
}

function shape(item: ListedSnapshot): string {
  if (item.rows === null) {
    return '';
  }
  return item.columns === null ? t('%1 rows', count(item.rows)) : t('%1 × %2', count(item.rows), count(item.columns));
}
