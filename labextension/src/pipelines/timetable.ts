import type { JupyterFrontEnd } from '@jupyterlab/application';

import type { Context } from '../context';
import { confirm } from '../dialogs';
import { button, fillWith, h } from '../kit/dom';
import { errorState } from '../kit/empty';
import { icon } from '../kit/icons';
import { t } from '../kit/texts';
import { LocalModel, type Action } from '../model';
import type { History, PipelineFile, Timed, Timetable } from '../records';
import { asServerError, type Job } from '../server';
import schedules from '../views/schedules';
import { ScheduleForm } from './schedule_form';
import type { Tabs } from './tabs';

const ACTIONS = ['run', 'pause', 'resume', 'history', 'change', 'remove', 'log', 'scheduler'];

/** The schedules in the panel: the view, the form, and what their buttons do. */
export class Timetables {
  constructor(
    private readonly _context: Context,
    private readonly _app: JupyterFrontEnd,
    private readonly _tabs: Tabs,
    private readonly _files: () => PipelineFile[],
    private readonly _began: (job: Job, path: string) => void
  ) {
    const terminals = _app.commands.hasCommand('terminal:create-new') || _app.name === 'JupyterLab';
    const actions = ACTIONS.filter(name => name !== 'scheduler' || terminals);
    this._model = new LocalModel(
      { schedules: [], schedulers: [], histories: {}, actions, command: '' },
      action => void this._act(action)
    );
    this._add = button('', () => this._openForm(), { 'aria-label': t('Add a schedule') });
    fillWith(this._add, icon('add'), t('Add'));
    const head = h('div', { class: 'mlops-part-head' }, h('h3', {}, t('Schedules')), this._add);
    this.node = h(
      'section',
      { class: 'mlops-part', 'aria-label': t('Schedules') },
      head,
      this._said,
      this._form,
      this._view
    );
    this._end = schedules.render({ model: this._model, el: this._view });
  }

  readonly node: HTMLElement;

  dispose(): void {
    this._end();
  }

  /** Ask again. */
  async refresh(): Promise<void> {
    const turn = ++this._turn;
    try {
      const told = await this._context.server.ask<Timetable>('timetable', {}, this._context.folder);
      if (turn === this._turn) {
        this._set('schedules', told.schedules);
        this._set('schedulers', told.schedulers);
        this._set('command', told.command);
        await Promise.all(Object.keys(this._histories).map(name => this._history(name)));
      }
    } catch (error) {
      this._fail(error);
    }
  }

  private async _act(action: Action): Promise<void> {
    const name = String(action.name);
    const timed = this._model.get<Timed[]>('schedules').find(one => one.schedule.name === name);
    fillWith(this._said);
    try {
      switch (action.do) {
        case 'pause':
        case 'resume':
          await this._change(action.do, name);
          break;
        case 'remove': {
          const words = t('%1 is not run by itself any more. Its history stays.', name);
          if (await confirm(t('Remove the schedule'), words, t('Remove'))) {
            await this._change('remove', name);
          }
          break;
        }
        case 'run':
          if (!timed?.path) {
            throw new Error(
              t('The pipeline of this schedule lies outside of the folder that JupyterLab shows: run it in a terminal.')
            );
          }
          this._began(
            await this._context.server.start('run', { sources: [timed.path], params: timed.now }, this._context.folder),
            timed.path
          );
          break;
        case 'history':
          if (this._histories[name]) {
            const { [name]: closed, ...others } = this._histories;
            this._model.set('histories', closed ? others : {});
          } else {
            await this._history(name);
          }
          break;
        case 'change':
          this._openForm(timed);
          break;
        case 'log':
          this._tabs.scheduleLog(name, String(action.run));
          break;
        case 'scheduler':
          await this._start();
          break;
      }
    } catch (error) {
      this._fail(error);
    }
  }

  private async _change(action: string, name: string): Promise<void> {
    await this._context.server.change('schedule', { action, name }, this._context.folder);
    await this.refresh();
  }

  private async _history(name: string): Promise<void> {
    const history = await this._context.server.ask<History>(
      'schedule_history',
      { name, limit: 20 },
      this._context.folder
    );
    if (JSON.stringify(history) !== JSON.stringify(this._histories[name])) {
      this._model.set('histories', { ...this._histories, [name]: history });
    }
  }

  /** Start a scheduler where its reader sees it, and can end it. */
  private async _start(): Promise<void> {
    const tab = await this._app.commands.execute('terminal:create-new', { cwd: this._context.folder });
    const command = this._model.get<string>('command') || 'mlops scheduler';
    tab?.content?.session?.send({ type: 'stdin', content: [`${command}\r`] });
  }

  private _openForm(before?: Timed): void {
    if (!this._files().some(file => !file.fault)) {
      this._fail(new Error(t('There is no pipeline to schedule: write a pipeline.yaml first.')));
      return;
    }
    const form = new ScheduleForm(this._context, this._files(), changed => this._closeForm(changed), before);
    fillWith(this._form, form.node);
    fillWith(this._said);
    form.focus();
  }

  private _closeForm(changed: boolean): void {
    fillWith(this._form);
    this._add.focus();
    if (changed) {
      void this.refresh();
    }
  }

  private _fail(error: unknown): void {
    fillWith(this._said, errorState(asServerError(error).message));
  }

  /** Only what is another value draws anew. */
  private _set(name: string, value: unknown): void {
    if (JSON.stringify(value) !== JSON.stringify(this._model.get(name))) {
      this._model.set(name, value);
    }
  }

  private get _histories(): Record<string, History> {
    return this._model.get('histories');
  }

  private readonly _model: LocalModel;
  private readonly _add: HTMLButtonElement;
  private readonly _said = h('div', { 'aria-live': 'polite' });
  private readonly _form = h('div');
  private readonly _view = h('div');
  private readonly _end: () => void;
  private _turn = 0;
}
