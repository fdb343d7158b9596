import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { Widget } from '@lumino/widgets';

import type { Context } from '../context';
import { askForm, confirm } from '../dialogs';
import { button, h } from '../kit/dom';
import { short } from '../kit/format';
import { t } from '../kit/texts';
import type { Action, Model } from '../model';
import { revealCell } from '../notebook';
import type { Replay, Run, Slice, Step } from '../records';
import { openComparison, openSnapshot } from '../sections/compare';
import { registerRun } from '../sections/models';
import { asServerError, type Job, type JobEnd } from '../server';
import { showTab } from '../tab';
import type { Outcome, Work } from './detail';

/** What the table of runs offers in the panel. */
export const ACTIONS = [
  'sort',
  'page',
  'unfold',
  'compare',
  'reveal',
  'replay',
  'slice',
  'step',
  'mlflow',
  'copy',
  'tag',
  'note',
  'register',
  'delete',
  'snapshot'
];

/** Does what is asked for runs in the panel. What takes long is a job, whose course is shown with its run. */
export class RunActs {
  constructor(
    private readonly _context: Context,
    private readonly _app: JupyterFrontEnd,
    private readonly _model: Model
  ) {}

  /** Do what a view asked for; whatever fails is told in a notification. */
  async act(action: Action): Promise<void> {
    try {
      await this._act(action);
    } catch (error) {
      Notification.error(asServerError(error).message, { autoClose: 8000 });
    }
  }

  private async _act(action: Action): Promise<void> {
    const ids = (action.runs as string[] | undefined) ?? [];
    const run = this._run(String(action.run ?? ids[0] ?? ''));
    switch (action.do) {
      case 'compare':
        return openComparison(this._app, this._context, ids);
      case 'snapshot':
        return openSnapshot(this._app, this._context, String(action.digest));
      case 'delete':
        return this._delete(ids.length ? ids : [String(action.run)]);
      case 'cancel':
        return this._jobs.get(String(action.run))?.cancel();
      default:
        return run ? this._actOn(run, action.do) : undefined;
    }
  }

  private async _actOn(run: Run, what: string): Promise<void> {
    switch (what) {
      case 'reveal':
        return revealCell(this._app, this._context.folder, run.notebook, run.cell);
      case 'replay':
        return this._work(run, 'replay', t('Replaying'), { run: run.id }, end => replayed(end.answer));
      case 'slice':
        return this._work(run, 'slice', t('Cutting the slice and proving it'), { run: run.id }, end =>
          this._sliced(run, end.answer)
        );
      case 'step':
        return this._step(run);
      case 'mlflow':
        return this._openInMlflow(run);
      case 'copy':
        Clipboard.copyToSystem(run.id);
        Notification.info(t('The id of %1 was copied.', run.name), { autoClose: 2500 });
        return;
      case 'tag':
        return this._tag(run);
      case 'note':
        return this._note(run);
      case 'register':
        return registerRun(this._app, this._context, run);
    }
  }

  private _run(id: string): Run | undefined {
    return this._model.get<(Run | null)[]>('runs').find(run => run?.id === id) ?? undefined;
  }

  /** Long work: a job, its course in the run's details, its end there too. */
  private async _work(
    run: Run,
    verb: string,
    words: string,
    args: object,
    told: (end: JobEnd) => Outcome
  ): Promise<void> {
    this._put<Outcome>('outcomes', run.id, undefined);
    this._put<Work>('work', run.id, { verb, words: `${words} …` });
    try {
      const job = await this._context.server.start(verb, args, this._context.folder);
      this._jobs.set(run.id, job);
      job.listen(event => {
        const said = event.event === 'said' ? event.text : event.words;
        if (typeof said === 'string' && said) {
          this._put<Work>('work', run.id, { verb, words: said });
        }
      });
      const end = await job.done;
      const failed = end.error || end.answer === null || end.answer === undefined;
      this._put<Outcome>('outcomes', run.id, failed ? failure(end) : told(end));
    } catch (error) {
      this._put<Outcome>('outcomes', run.id, { state: 'failed', words: asServerError(error).message });
    } finally {
      this._jobs.delete(run.id);
      this._put<Work>('work', run.id, undefined);
      this._context.touch('runs');
    }
  }

  private _sliced(run: Run, slice: Slice): Outcome {
    const copy = button(t('Copy'), () => Clipboard.copyToSystem(slice.source));
    const words = t('%1 of %2 statements give %3.', slice.kept, slice.executed, slice.name || t('its results'));
    const proof = slice.proof ? t('Proof by replay: %1.', slice.proof) : t('Not replayed: %1', slice.why);
    const head = h('div', { class: 'mlops-toolbar' }, h('span', { class: 'mlops-grow' }, words, ' ', proof), copy);
    const code = h('pre', { class: 'mlops-mono', tabindex: 0 }, slice.source);
    const page = (): Widget => new Widget({ node: h('div', { class: 'mlops-view mlops-code-page' }, head, code) });
    showTab(this._app, `slice-${run.id}`, t('Slice of %1', run.name), 'slice', page);
    return { state: slice.proof || 'done', words };
  }

  private async _step(run: Run): Promise<void> {
    const known = [...Object.keys(run.metrics), ...(run.model ? ['model'] : [])];
    const name = run.name.replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, '') || short(run.id);
    const answers = await askForm(
      t('Make a step of %1', run.name),
      [
        {
          name: 'results',
          label: t('What the step is to give'),
          kind: 'many',
          choices: known,
          value: run.model ? ['model'] : known.slice(0, 1)
        },
        {
          name: 'names',
          label: t('Other names of the notebook'),
          placeholder: 'table, scores',
          hint: t('Separated by commas.')
        },
        { name: 'out', label: t('Notebook to write'), value: `${name}.ipynb`, required: true }
      ],
      t('Make the step')
    );
    if (!answers) {
      return;
    }
    const more = String(answers.names ?? '')
      .split(',')
      .map(item => item.trim())
      .filter(Boolean);
    const out = PathExt.join(
      this._context.folder,
      answers.out.endsWith('.ipynb') ? answers.out : `${answers.out}.ipynb`
    );
    const args = { source: run.id, result: [...answers.results, ...more], out };
    await this._work(run, 'step', t('Cutting the step and running it'), args, end => this._made(end.answer, out));
  }

  private _made(step: Step, out: string): Outcome {
    void this._app.commands.execute('docmanager:open', { path: out });
    const words = t('%1 was written: %2 of %3 statements.', PathExt.basename(out), step.kept, step.executed);
    return { state: step.proof || 'done', words: [words, ...step.notes].join(' ') };
  }

  /**
   * Open the run in MLflow: on the tracking server where there is one, else in MLflow's own pages, which are served
   * as a job.
   */
  private async _openInMlflow(run: Run): Promise<void> {
    const { server, folder } = this._context;
    const { page, path } = await server.ask<{ page: string; path: string }>('mlflow_page', { run: run.id }, folder);
    if (page) {
      window.open(page + path, '_blank', 'noopener');
      return;
    }
    const waiting = Notification.emit(t('MLflow is starting …'), 'in-progress', { autoClose: false });
    try {
      const url = await this._served();
      const opened = window.open(url + path, 'mlops-mlflow');
      if (!opened) {
        const open = { label: t('Open'), callback: () => void window.open(url + path, 'mlops-mlflow') };
        Notification.info(t('MLflow is ready.'), { actions: [open], autoClose: false });
      }
    } finally {
      Notification.dismiss(waiting);
    }
  }

  /** The address of MLflow's pages over this folder's store; they are started where they are not there yet. */
  private async _served(): Promise<string> {
    const { server, folder } = this._context;
    const known = (await server.jobs()).find(
      job => job.verb === 'ui' && job.folder === folder && job.state !== 'ended'
    );
    const job = known ? server.job(known.id) : await server.start('ui', {}, folder);
    return new Promise((resolve, reject) => {
      job.listen(event => {
        if (event.event === 'serving') {
          resolve(String(event.url));
          // It serves for as long as JupyterLab runs, and nothing more is heard of it.
          job.leave();
        } else if (event.event === 'end') {
          reject(new Error(event.error || t('MLflow did not start.')));
        }
      });
      job.done.catch(reject);
    });
  }

  private async _tag(run: Run): Promise<void> {
    const answers = await askForm(
      t('Tag %1', run.name),
      [
        { name: 'name', label: t('Name'), placeholder: 'stage', required: true },
        { name: 'text', label: t('Text'), placeholder: 'draft', hint: t('An empty text takes the tag away.') }
      ],
      t('Tag')
    );
    if (answers) {
      await this._change('tag', { run: run.id, tags: { [answers.name]: answers.text } });
    }
  }

  private async _note(run: Run): Promise<void> {
    const field = { name: 'text', label: t('What you saw, what to try next'), kind: 'area' as const, value: run.note };
    const answers = await askForm(t('Note of %1', run.name), [field], t('Keep'));
    if (answers) {
      await this._change('note', { run: run.id, text: answers.text });
    }
  }

  private async _delete(ids: string[]): Promise<void> {
    const names = ids.map(id => this._run(id)?.name || short(id));
    const title = ids.length === 1 ? t('Delete %1?', names[0]) : t('Delete %1 runs?', ids.length);
    const words = t('MLflow keeps deleted runs in its bin, from which `mlflow runs restore` brings them back.');
    const listed =
      ids.length === 1 ? words : `${names.slice(0, 10).join(', ')}${ids.length > 10 ? ', …' : ''}. ${words}`;
    if (await confirm(title, listed, t('Delete'))) {
      await this._change('delete', { runs: ids });
      const left = this._model.get<string[]>('selected').filter(id => !ids.includes(id));
      this._model.set('selected', left);
    }
  }

  private async _change(verb: string, args: object): Promise<void> {
    await this._context.server.change(verb, args, this._context.folder);
    this._context.touch('runs');
  }

  private _put<T>(name: 'work' | 'outcomes', id: string, value: T | undefined): void {
    const all = { ...this._model.get<Record<string, T>>(name) };
    if (value === undefined) {
      delete all[id];
    } else {
      all[id] = value;
    }
    this._model.set(name, all);
  }

  private readonly _jobs = new Map<string, Job>();
}

function failure(end: JobEnd): Outcome {
  return { state: end.status === 130 ? 'cancelled' : 'failed', words: end.error || t('It ended without an answer.') };
}

function replayed(replay: Replay): Outcome {
  const score = t('Score %1.', Number(replay.score.toFixed(3)));
  const first = replay.first ? t('First difference: %1 %2.', replay.first.name, replay.first.why) : '';
  return { state: replay.verdict, words: [score, first, ...replay.notes].filter(Boolean).join(' ') };
}
