import { fillWith, h } from '../kit/dom';
import { emptyState, errorState } from '../kit/empty';
import { ago, moment, seconds, text } from '../kit/format';
import { stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import type { PastRun } from '../records';
import { asServerError } from '../server';

const MOST = 20;

/** The earlier runs of a pipeline; they are asked for when the list is unfolded. */
export class RunHistory {
  constructor(
    private readonly _ask: (limit: number) => Promise<PastRun[]>,
    private readonly _choose: (past: PastRun) => void
  ) {
    this._list = h('div', { class: 'mlops-history' });
    this.node = h(
      'details',
      { on: { toggle: () => this.refresh() } },
      h('summary', {}, t('History of runs')),
      this._list
    );
  }

  readonly node: HTMLDetailsElement;

  /** The id of the run that is shown in the graph. */
  get chosen(): string {
    return this._chosen;
  }

  set chosen(run: string) {
    this._chosen = run;
    for (const row of this._list.querySelectorAll<HTMLElement>('[data-run]')) {
      row.setAttribute('aria-pressed', String(row.dataset.run === run));
    }
  }

  /** Ask again, where somebody sees the answer. */
  refresh(): void {
    if (!this.node.open) {
      return;
    }
    const turn = ++this._turn;
    this._ask(MOST).then(
      runs => turn === this._turn && this._show(runs),
      error =>
        turn === this._turn &&
        fillWith(
          this._list,
          errorState(asServerError(error).message, () => this.refresh())
        )
    );
  }

  private _show(runs: PastRun[]): void {
    const told = JSON.stringify(runs);
    if (told !== this._told) {
      this._told = told;
      const none = emptyState(t('No runs yet'), t('Run the pipeline: each run is listed here with its verdict.'));
      fillWith(this._list, runs.length ? runs.map(past => this._row(past)) : none);
    }
  }

  private _row(past: PastRun): HTMLElement {
    const { run } = past;
    const params = Object.entries(run.params).map(([name, value]) => `${name} = ${text(value, 30)}`);
    const facts = [seconds(run.seconds), past.schedule && t('by schedule %1', past.schedule), ...params].filter(
      Boolean
    );
    const attributes = {
      type: 'button',
      class: 'mlops-history-row',
      'aria-pressed': run.id === this._chosen,
      data: { run: run.id }
    };
    return h(
      'button',
      { ...attributes, title: moment(run.started), on: { click: () => this._choose(past) } },
      stateBadge(run.status),
      h('span', {}, ago(run.started)),
      h('span', { class: 'mlops-quiet mlops-history-facts' }, facts.join(' · '))
    );
  }

  private readonly _list: HTMLElement;
  private _chosen = '';
  private _told = '';
  private _turn = 0;
}
