import { fillWith, h, type Attributes } from '../kit/dom';
import { text } from '../kit/format';
import { icon, type IconName } from '../kit/icons';
import { stateBadge, tone, type Tone } from '../kit/status';
import { t } from '../kit/texts';
import type { BadgeRun, Facts } from './facts';
import { popover } from './popover';

/** What a person can do from a cell's badges. */
export interface CellActs {
  /** Show a run in the panel; absent where there is no panel. */
  reveal?: (run: string) => void;
  /** Run the cell again. */
  rerun: () => void;
}

/** Which badges are shown. */
export interface Kinds {
  run: boolean;
  stale: boolean;
  hidden: boolean;
  replay: boolean;
}

/**
 * The badges of one cell: small labels on the upper edge of its input, over no text. They are buttons: a run's shows
 * the run in the panel, the others tell more in a box beside them.
 */
export class CellBadges {
  constructor(
    private readonly _cell: HTMLElement,
    private readonly _acts: CellActs
  ) {}

  /** The element that holds the badges. */
  readonly node = h('div', { class: 'mlops-view mlops-cell-badges', role: 'group', 'aria-label': t('MLOps') });

  /** Show what is known of the cell now. */
  show(facts: Facts, kinds: Kinds): void {
    const described = JSON.stringify([facts, kinds]);
    if (described === this._described && (this.node.isConnected || !this.node.childElementCount)) {
      return;
    }
    this._described = described;
    this._facts = facts;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.badge;
    const inside = this.node.contains(document.activeElement);
    fillWith(this.node, this._badges(facts, kinds));
    if (!this.node.childElementCount) {
      this.node.remove();
      return;
    }
    if (this.node.parentElement !== this._cell) {
      this._cell.appendChild(this.node);
    }
    if (inside && focused) {
      this.node.querySelector<HTMLElement>(`[data-badge='${focused}']`)?.focus();
    }
  }

  /** Tell all of the cell in the box of details; whether there was something to tell. */
  explain(): boolean {
    const first = this.node.querySelector<HTMLElement>('button');
    if (first && this.node.isConnected) {
      this._explain(first);
    }
    return first !== null;
  }

  dispose(): void {
    this.node.remove();
  }

  private _badges(facts: Facts, kinds: Kinds): HTMLElement[] {
    const badges: HTMLElement[] = [];
    const { runs, stale, hidden, verdict } = facts;
    if (kinds.run && runs.length) {
      badges.push(this._run(runs));
    }
    if (kinds.stale && stale.length) {
      badges.push(this._told('stale', 'warn', 'warning', t('stale'), stale));
    }
    if (kinds.hidden && hidden.length) {
      badges.push(this._told('hidden', 'warn', 'info', t('hidden state'), hidden));
    }
    if (kinds.replay && verdict) {
      const words: Record<string, string> = {
        identical: t('replayed: identical'),
        tolerance: t('replayed: within tolerance'),
        different: t('replayed: different')
      };
      const label = words[verdict] ?? t('replayed: %1', verdict);
      badges.push(this._told('replay', tone(verdict), verdict === 'different' ? 'close' : 'check', label, []));
    }
    return badges;
  }

  private _run(runs: readonly BadgeRun[]): HTMLElement {
    const last = runs[runs.length - 1];
    const label = runs.length > 1 ? t('%1 runs', runs.length) : last.name;
    const metrics = Object.entries(last.metrics ?? {}).map(([name, value]) => `${name} ${text(value)}`);
    const title = [t('Run %1', last.name), ...metrics, t('made by this cell')].join(' · ');
    const single = runs.length === 1 && this._acts.reveal;
    const failed = last.status === 'FAILED' || last.status === 'KILLED';
    const many = runs.length > 1;
    const told = many ? t('%1 runs made by this cell', runs.length) : t('Run %1 made by this cell: show it', last.name);
    const click = (event: MouseEvent): void =>
      single ? this._acts.reveal?.(last.id) : this._explain(event.currentTarget as HTMLElement);
    const attributes = { title, 'aria-label': told, ...(single ? {} : POPS_UP), on: { click } };
    return chip('run', failed ? 'bad' : 'plain', failed ? 'close' : 'runs', label, attributes);
  }

  private _told(kind: string, sense: Tone, shape: IconName, label: string, why: readonly string[]): HTMLElement {
    return chip(kind, sense, shape, label, {
      title: why.join('\n') || label,
      ...POPS_UP,
      on: { click: (event: MouseEvent) => this._explain(event.currentTarget as HTMLElement) }
    });
  }

  private _explain(anchor: HTMLElement): void {
    const { runs, stale, hidden, verdict } = this._facts ?? {};
    const rerun = (): void => {
      popover.close(false);
      this._acts.rerun();
    };
    const looks = { type: 'button', class: 'mlops-button', on: { click: rerun } };
    const again = h('button', looks, icon('play'), t('Run this cell'));
    const list = (made: readonly BadgeRun[]): HTMLElement =>
      h('ul', { class: 'mlops-popover-runs' }, made.map(run => this._row(run)));
    const content = h(
      'div',
      { class: 'mlops-popover-body' },
      part(t('Its output is stale'), stale, again),
      part(t('A restart and a run of all cells would change it'), hidden),
      runs?.length ? [h('h3', {}, t('Runs made by this cell')), list(runs)] : null,
      verdict ? h('p', {}, t('The last replay of its run:'), ' ', stateBadge(verdict)) : null
    );
    popover.toggle(anchor, t('This cell'), content);
  }

  private _row(run: BadgeRun): HTMLElement {
    const show = (): void => {
      popover.close(false);
      this._acts.reveal?.(run.id);
    };
    const metrics = Object.entries(run.metrics ?? {}).map(([name, value]) => h('span', {}, `${name} ${text(value)}`));
    const link = { type: 'button', class: 'mlops-link', title: t('Show it in the panel'), on: { click: show } };
    const name = this._acts.reveal ? h('button', link, run.name) : h('b', {}, run.name);
    const measured = h('span', { class: 'mlops-quiet mlops-popover-metrics' }, metrics);
    return h('li', {}, name, run.status ? stateBadge(run.status) : null, measured);
  }

  private _described = '';
  private _facts: Facts | null = null;
}

const POPS_UP = { 'aria-haspopup': 'dialog' };

function chip(kind: string, sense: Tone, shape: IconName, label: string, attributes: Attributes): HTMLElement {
  const known = { type: 'button', class: `mlops-badge mlops-cell-badge mlops-${sense}`, 'data-badge': kind };
  return h('button', { ...known, ...attributes }, icon(shape), h('span', {}, label));
}

function part(heading: string, reasons: readonly string[] | undefined, ...more: HTMLElement[]): HTMLElement[] | null {
  const list = (all: readonly string[]): HTMLElement => h('ul', {}, all.map(reason => h('li', {}, reason)));
  return reasons?.length ? [h('h3', {}, heading), list(reasons), ...more] : null;
}
