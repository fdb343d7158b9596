import type { Context } from '../context';
import { isBusy } from '../graph/steps';
import { button, fillWith, h, unique } from '../kit/dom';
import { errorState } from '../kit/empty';
import { ago, moment, seconds } from '../kit/format';
import { icon, iconButton } from '../kit/icons';
import { badge, stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import { LocalModel, type Action } from '../model';
import type { PastRun, PipelineFile, PipelineRun, Plan, StepRun } from '../records';
import { asServerError, type Job } from '../server';
import graph from '../views/pipeline';
import { Board, counted } from './board';
import { ParamsForm } from './form';
import { RunHistory } from './history';
import { outcome, planned } from './outcome';
import type { Tabs } from './tabs';

const ACTIONS = ['logs', 'notebook', 'source', 'from', 'only', 'force'];

/** What of a pipeline is to be run: arguments of the verb `run` beside its sources and parameters. */
interface Choice {
  only?: string[];
  from?: string;
  force?: boolean;
}

/** One pipeline of the list: its name and state, and unfolded its graph, its run and its history. */
export class PipelineCard {
  constructor(
    private readonly _context: Context,
    private readonly _tabs: Tabs,
    private _file: PipelineFile,
    private readonly _toggled: (open: boolean) => void
  ) {
    const values = { name: _file.name, graph: _file.layout, steps: [], plan: [], selected: '', actions: ACTIONS };
    this.model = new LocalModel(values, action => this._act(action));
    const ask = (limit: number): Promise<PastRun[]> =>
      _context.server.ask('pipeline_runs', { path: this._file.path, limit }, _context.folder);
    this._history = new RunHistory(ask, past => this._choose(past));
    const id = unique('mlops-pipeline');
    this._toggle = h('button', {
      type: 'button',
      class: 'mlops-pipeline-toggle',
      'aria-controls': id,
      on: { click: () => this._toggled(!this.open) }
    });
    this._state = h('span', { class: 'mlops-pipeline-state' });
    this._body = h('div', { class: 'mlops-pipeline-body', id, hidden: true });
    const head = h('h3', { class: 'mlops-pipeline-head' }, this._toggle, this._state);
    this.node = h(
      'section',
      { class: 'mlops-pipeline', 'aria-label': _file.name, data: { path: _file.path } },
      head,
      this._body
    );
    this._form = new ParamsForm(_file.params);
    this._endView = graph.render({ model: this.model, el: this._graph });
    this._build();
  }

  readonly node: HTMLElement;
  readonly model: LocalModel;

  get open(): boolean {
    return !this._body.hidden;
  }

  set open(open: boolean) {
    this._body.hidden = !open;
    this._head();
    this._history.refresh();
  }

  /** What its reader typed, to be remembered. */
  get params(): Record<string, unknown> {
    return this._form.given;
  }

  set params(given: Record<string, unknown>) {
    this._form = new ParamsForm(this._file.params, given);
    this._build();
  }

  /** Take in what the file and its latest run say now. */
  update(file: PipelineFile): void {
    const before = this._file;
    this._file = file;
    if (
      JSON.stringify([before.params, before.fault, before.name, before.steps.length]) !==
      JSON.stringify([file.params, file.fault, file.name, file.steps.length])
    ) {
      this._form = new ParamsForm(file.params, this._form.given);
      this._build();
    }
    if (JSON.stringify(before.layout) !== JSON.stringify(file.layout)) {
      this.model.set('graph', file.layout);
      this.model.set('plan', []);
    }
    const last = file.last?.run;
    if (this._board && !this._job && last && last.id !== this._board.run && last.started > this._ended) {
      this._board = null;
      this._outcome = [];
    }
    this._show();
    this._history.refresh();
  }

  /** Watch a job that runs this pipeline, whoever began it. */
  adopt(job: Job): void {
    if (this._job?.id === job.id || this._followed.has(job.id)) {
      return;
    }
    this._followed.add(job.id);
    const board = new Board();
    Object.assign(this, { _job: job, _board: board, _past: null, _outcome: [] });
    this.model.set('plan', []);
    job.listen(event => board.take(event) && this._board === board && this._show());
    job.done.then(
      end => this._over(board, end.answer, end.error, end.status),
      error => this._over(board, null, asServerError(error).message, 2)
    );
    this._show();
  }

  dispose(): void {
    this._endView();
  }

  // -- what its reader asks for

  private _act(action: Action): void {
    const step = String(action.step);
    const which = { pipeline: this._file.name, step, run: this._shown()?.id ?? '' };
    const acts: Record<string, () => void> = {
      logs: () => this._tabs.log(which),
      notebook: () => void this._tabs.notebook(which),
      source: () => void this._tabs.file(...this._source(step)),
      from: () => void this._run({ from: step }),
      only: () => void this._run({ only: [step] }),
      force: () => void this._run({ only: [step], force: true })
    };
    acts[action.do]?.();
  }

  /** Where the code of a step is: its notebook or module, else its line in the pipeline's file. */
  private _source(name: string): [string, number] {
    const step = this._file.steps.find(one => one.name === name);
    const folder = this._file.path.split('/').slice(0, -1);
    const file = step?.kind === 'python' ? step.source.slice(0, step.source.lastIndexOf(':')) : (step?.source ?? '');
    const plain = step?.kind === 'notebook' || (step?.kind === 'python' && file.endsWith('.py'));
    return plain ? [[...folder, file].join('/'), 0] : [this._file.path, step?.line ?? 0];
  }

  private async _run(choice: Choice): Promise<void> {
    if (this._job) {
      return;
    }
    this._outcome = [];
    this._busy = true;
    this._show();
    try {
      const args = { sources: [this._file.path], params: this._form.given, ...choice };
      this.adopt(await this._context.server.start('run', args, this._context.folder));
    } catch (error) {
      this._outcome = [errorState(asServerError(error).message)];
    }
    this._busy = false;
    this._show();
  }

  private async _plan(): Promise<void> {
    this._busy = true;
    this._show();
    try {
      const args = { path: this._file.path, params: this._form.given };
      const plan = await this._context.server.ask<Plan>('pipeline_plan', args, this._context.folder);
      this.model.set('plan', plan.steps);
      this._outcome = [planned(plan, () => this._unplanned())];
    } catch (error) {
      this._outcome = [errorState(asServerError(error).message)];
    }
    this._busy = false;
    this._show();
  }

  private _unplanned(): void {
    this.model.set('plan', []);
    this._outcome = [];
    this._show();
  }

  private _choose(past: PastRun): void {
    const again = this._past?.run.id === past.run.id;
    this._past = again ? null : past;
    this._unplanned();
  }

  private _over(board: Board, answer: PipelineRun | null, error: string, status: number): void {
    this._job = null;
    this._ended = Date.now() / 1000;
    if (answer && Array.isArray(answer.steps)) {
      board.end(answer);
      this._outcome = outcome(answer);
    } else {
      board.status = status === 130 ? 'cancelled' : 'failed';
      board.steps = board.steps.map(step =>
        isBusy(step) || step.state === 'waiting' ? { ...step, state: 'cancelled' } : step
      );
      this._outcome = error && status !== 130 ? [errorState(error)] : [];
    }
    const failed = board.steps.find(step => step.state === 'failed');
    if (failed && !this.model.get('selected')) {
      this.model.set('selected', failed.step);
    }
    this._show();
    this._context.touch('pipelines', 'runs');
  }

  // -- what it shows

  private _shown(): { id: string; status: string; steps: StepRun[]; started: number; seconds: number } | null {
    if (this._past) {
      return this._past.run;
    }
    if (this._board) {
      return { id: this._board.run, status: this._board.status, steps: this._board.steps, started: 0, seconds: 0 };
    }
    return this._file.last?.run ?? null;
  }

  private _build(): void {
    const { fault } = this._file;
    if (fault) {
      const line = fault.line ? t('Open line %1', fault.line) : t('Open the file');
      const place = fault.line ? t('%1, line %2', fault.file, fault.line) : fault.file;
      const open = button(line, () => void this._tabs.file(fault.file, fault.line), {
        class: 'mlops-button mlops-primary'
      });
      const words = [h('div', { class: 'mlops-mono' }, place), fault.message];
      const told = h(
        'div',
        { class: 'mlops-fault', role: 'alert' },
        icon('warning'),
        h('div', {}, words),
        h('div', { class: 'mlops-actions' }, open)
      );
      fillWith(this._body, told);
      return;
    }
    const wide = (): void =>
      this._tabs.view(`graph-${this._file.path}`, this._file.name, 'pipelines', graph, this.model);
    this._start = button('', () => void this._run({}), { class: 'mlops-button mlops-primary' });
    fillWith(this._start, icon('play'), t('Run'));
    this._stop = button('', () => void this._job?.cancel(), {});
    fillWith(this._stop, icon('stop'), t('Cancel'));
    this._ask = button(t('Dry run'), () => void this._plan(), { title: t('Say what would run, and why') });
    const tools = [this._start, this._stop, this._ask, h('span', { class: 'mlops-gap' })];
    const open = iconButton('open', t('Open the graph in a tab'), wide);
    const edit = iconButton(
      'note',
      t('Open %1', this._file.path.split('/').pop()),
      () => void this._tabs.file(this._file.path)
    );
    const toolbar = h('div', { class: 'mlops-toolbar' }, tools, open, edit);
    fillWith(this._body, toolbar, this._form.node, this._status, this._graph, this._told, this._history.node);
  }

  private _show(): void {
    this._head();
    if (this._file.fault) {
      return;
    }
    const shown = this._shown();
    const steps = shown?.steps ?? [];
    this.model.set('steps', steps);
    this._history.chosen = this._past?.run.id ?? '';
    this._start.hidden = this._job !== null;
    this._start.disabled = this._busy;
    this._ask.hidden = this._job !== null;
    this._ask.disabled = this._busy;
    this._stop.hidden = this._job === null;
    const words = counted(steps).map(([state, count]) => `${count} ${t(state === 'cached' ? 'unchanged' : state)}`);
    const when = this._past ? t('run of %1', moment(this._past.run.started)) : shown?.started ? ago(shown.started) : '';
    const said = [when, shown?.seconds ? seconds(shown.seconds) : '', ...words].filter(Boolean).join(' · ');
    const back =
      this._past &&
      button(t('Show the latest run'), () => this._choose(this._past as PastRun), { class: 'mlops-link' });
    if (this._status.textContent !== said + (back?.textContent ?? '')) {
      fillWith(this._status, h('span', {}, said), back);
    }
    if (this._shownOutcome !== this._outcome) {
      this._shownOutcome = this._outcome;
      fillWith(this._told, this._outcome);
    }
  }

  private _head(): void {
    const { fault, name } = this._file;
    this._toggle.setAttribute('aria-expanded', String(this.open));
    fillWith(this._toggle, icon(this.open ? 'down' : 'right'), h('span', { title: this._file.path }, name));
    const status = this._job ? 'running' : this._shown()?.status;
    const told = fault
      ? badge('bad', 'warning', t('not usable'))
      : status
        ? stateBadge(status)
        : h('span', { class: 'mlops-quiet' }, t('not run yet'));
    if (this._state.textContent !== told.textContent) {
      fillWith(this._state, told);
    }
  }

  private readonly _toggle: HTMLElement;
  private readonly _state: HTMLElement;
  private readonly _body: HTMLElement;
  private readonly _graph = h('div');
  private readonly _status = h('div', { class: 'mlops-pipeline-status mlops-quiet', role: 'status' });
  private readonly _told = h('div', { class: 'mlops-pipeline-told', 'aria-live': 'polite' });
  private readonly _history: RunHistory;
  private readonly _endView: () => void;
  private readonly _followed = new Set<string>();
  private _form: ParamsForm;
  private _start!: HTMLButtonElement;
  private _stop!: HTMLButtonElement;
  private _ask!: HTMLButtonElement;
  private _job: Job | null = null;
  private _board: Board | null = null;
  private _past: PastRun | null = null;
  private _outcome: HTMLElement[] = [];
  private _shownOutcome: HTMLElement[] = [];
  private _busy = false;
  private _ended = 0;
}
