import type { JupyterFrontEnd } from '@jupyterlab/application';
import { LabIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import type { Change, Context } from '../context';
import { askForm } from '../dialogs';
import { fillWith, h } from '../kit/dom';
import { emptyState, errorState, loadingState } from '../kit/empty';
import { number } from '../kit/format';
import { iconButton, svgText } from '../kit/icons';
import { ProgressLine } from '../kit/progress';
import { badge, stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import { LocalModel, type Action } from '../model';
import type { MonitoredModel, MonitoringView, Retraining } from '../records';
import { asServerError } from '../server';
import monitoringView from '../views/monitoring';
import type { Section } from './section';

const ICON = new LabIcon({ name: 'jupyter-mlops:monitor', svgstr: svgText('monitor') });
const DAY = 86400;

/** The windows of time that can be chosen, as the server takes them, with their length in seconds. */
const WINDOWS: readonly [value: string, length: number][] = [
  ['1h', 3600],
  ['24h', DAY],
  ['7d', 7 * DAY],
  ['30d', 30 * DAY],
  ['all', Infinity]
];

/** The section Monitor: how a model in service does. */
export function monitorSection(context: Context, _app: JupyterFrontEnd): Section {
  return new Monitor(context);
}

class Monitor implements Section {
  readonly id = 'monitor';
  readonly title = t('Monitor');
  readonly icon = ICON;
  readonly concerns: readonly Change[] = ['models'];
  readonly widget: Widget;

  constructor(private readonly _context: Context) {
    const labels: Record<string, string> = {
      '1h': t('Last hour'),
      '24h': t('Last 24 hours'),
      '7d': t('Last 7 days'),
      '30d': t('Last 30 days'),
      all: t('All predictions')
    };
    const options = WINDOWS.map(([value]) => h('option', { value }, labels[value]));
    this._windows = h(
      'select',
      { class: 'mlops-input', 'aria-label': t('Window of time'), on: { change: () => this._chose() } },
      options
    );
    this._models = h(
      'select',
      { class: 'mlops-input', 'aria-label': t('Model'), on: { change: () => this._picked() } }
    );
    this._toolbar = h(
      'div',
      { class: 'mlops-toolbar', hidden: true },
      h('div', { class: 'mlops-grow' }, this._models),
      h('div', { class: 'mlops-grow' }, this._windows),
      iconButton('refresh', t('Look again'), () => this.refresh())
    );
    this._words = h('div', { class: 'mlops-hidden', 'aria-live': 'polite' });
    this._body = h('div', { class: 'mlops-monitor-body' }, loadingState());
    this._job = h('div', { class: 'mlops-monitor-job', 'aria-live': 'polite' });
    this.widget = new Widget(
      { node: h('div', { class: 'mlops-view mlops-monitor' }, this._toolbar, this._job, this._body, this._words) }
    );
    this._shown = new LocalModel({ actions: ['retrain'] }, action => void this._do(action));
  }

  refresh(): void {
    void this._refresh();
  }

  setVisible(visible: boolean): void {
    this._visible = visible;
    this._follow();
  }

  remember(): Record<string, unknown> {
    return { model: this._model, window: this._window };
  }

  restore({ model, window }: Record<string, unknown>): void {
    this._model = typeof model === 'string' ? model : '';
    this._window = WINDOWS.some(([value]) => value === window) ? String(window) : '';
  }

  /** Show a model, given by its name. */
  reveal(id: string): void {
    this._model = id;
    this.refresh();
  }

  private async _refresh(): Promise<void> {
    const turn = ++this._turn;
    const { server, folder } = this._context;
    const began = performance.now();
    try {
      const models = await server.ask<MonitoredModel[]>('monitored', {}, folder);
      if (turn !== this._turn) {
        return;
      }
      const known = models.find(item => item.name === this._model);
      const chosen = known ?? models.find(item => item.predictions) ?? models[0];
      if (!chosen) {
        const hint = t('Choose a run with a model in Runs and register it; its predictions are watched here.');
        this._showNone(t('No model is registered yet'), hint);
        return;
      }
      this._list(models, chosen);
      if (!chosen.predictions) {
        const hint = t('Start its service, mlops serve %1, or score data: mlops predict %1 DATA --log', chosen.name);
        this._showNone(t('%1 has predicted nothing yet', chosen.name), hint, true);
        return;
      }
      const found = await server.ask<MonitoringView>(
        'monitor',
        { name: chosen.name, since: this._windowOf(chosen) },
        folder
      );
      if (turn === this._turn) {
        this._took = performance.now() - began;
        this._show(found);
      }
    } catch (error) {
      if (turn === this._turn) {
        this._unmount();
        fillWith(this._body, errorState(asServerError(error).message, () => this.refresh()));
      }
    }
    this._follow();
  }

  private _list(models: readonly MonitoredModel[], chosen: MonitoredModel): void {
    const words = (item: MonitoredModel): string =>
      item.alerts.length ? t('%1 (%2 alerts)', item.name, number(item.alerts.length)) : item.name;
    fillWith(this._models, models.map(item => h('option', { value: item.name }, words(item))));
    this._models.value = chosen.name;
    this._windows.value = this._windowOf(chosen);
    this._toolbar.hidden = false;
  }

  /** The window that was chosen, else the shortest one from a day on in which the model predicted something. */
  private _windowOf(model: MonitoredModel): string {
    const age = Date.now() / 1000 - (model.last ?? 0);
    return this._window || (WINDOWS.find(([, length]) => length >= DAY && age < length) ?? ['all'])[0];
  }

  private _show(found: MonitoringView): void {
    this._shown.set('told', found.told);
    this._shown.set('champion', found.champion);
    this._shown.set('monitoring', found.monitoring);
    if (!this._unrender) {
      fillWith(this._body);
      this._unrender = monitoringView.render({ model: this._shown, el: this._body });
    }
    const { model, alerts } = found.monitoring;
    const told = alerts.length ? t('%1: %2 alerts', model, number(alerts.length)) : t('%1: no alert', model);
    this._words.textContent = told;
  }

  private _showNone(title: string, hint: string, keep = false): void {
    this._unmount();
    this._toolbar.hidden = !keep;
    fillWith(this._body, emptyState(title, hint, [], 'monitor'));
  }

  private _unmount(): void {
    this._unrender?.();
    this._unrender = null;
  }

  private _picked(): void {
    this._model = this._models.value;
    this._window = '';
    this.refresh();
  }

  private _chose(): void {
    this._window = this._windows.value;
    this.refresh();
  }

  private async _do(action: Action): Promise<void> {
    if (action.do !== 'retrain') {
      return;
    }
    const name = String(action.model);
    const words = t(
      'The pipeline that releases %1 runs; what it gives must pass the gates, else the champion stays.',
      name
    );
    const answers = await askForm(
      t('Train %1 again', name),
      [
        { name: 'words', label: words, kind: 'note' },
        { name: 'why', label: t('Why'), required: true, placeholder: t('for the audit log') }
      ],
      t('Train')
    );
    if (answers) {
      await this._train(name, answers.why);
    }
  }

  private async _train(name: string, why: string): Promise<void> {
    try {
      const job = await this._context.server.start('retrain', { name, why }, this._context.folder);
      const line = new ProgressLine(t('Training %1 again…', name), () => void job.cancel());
      fillWith(this._job, line.element);
      // The button stands below the alerts, which may be many.
      this._job.scrollIntoView({ block: 'nearest' });
      const { answer, error } = await job.done;
      const found = answer as Retraining | null;
      const promoted = found?.state === 'promoted';
      const told = promoted ? badge('good', 'check', t('promoted')) : stateBadge(found?.state ?? 'failed');
      fillWith(this._job, h('p', { class: 'mlops-monitor-sentence' }, told, ' ', found?.what || error));
    } catch (error) {
      fillWith(this._job, errorState(asServerError(error).message));
    }
    this._context.touch('models', 'runs', 'pipelines');
  }

  /**
   * While it is on view, look again from time to time: predictions tell of themselves to nobody. What takes long is
   * asked for rarely.
   */
  private _follow(): void {
    window.clearTimeout(this._timer);
    if (this._visible && this._unrender) {
      this._timer = window.setTimeout(() => this.refresh(), Math.max(30_000, 30 * this._took));
    }
  }

  private readonly _windows: HTMLSelectElement;
  private readonly _models: HTMLSelectElement;
  private readonly _toolbar: HTMLElement;
  private readonly _body: HTMLElement;
  private readonly _job: HTMLElement;
  private readonly _words: HTMLElement;
  private readonly _shown: LocalModel;
  private _unrender: (() => void) | null = null;
  private _model = '';
  private _window = '';
  private _visible = false;
  private _turn = 0;
  private _took = 0;
  private _timer = 0;
}
