import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { LabIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import type { Change, Context } from '../context';
import { fillWith, h } from '../kit/dom';
import { emptyState, errorState, loadingState } from '../kit/empty';
import { t } from '../kit/texts';
import { PipelineCard } from '../pipelines/card';
import { Tabs } from '../pipelines/tabs';
import { Timetables } from '../pipelines/timetable';
import type { PipelineFile } from '../records';
import { asServerError, type Job } from '../server';
import { labIcon } from '../tab';
import type { Section } from './section';

/** Milliseconds between two questions, while a run writes much. */
const PAUSE = 1000;

/** The section Pipelines: graphs with live states, runs, logs, history, and schedules. */
export function pipelinesSection(context: Context, app: JupyterFrontEnd): Section {
  return new Pipelines(context, app);
}

class Pipelines implements Section {
  constructor(
    private readonly _context: Context,
    app: JupyterFrontEnd
  ) {
    this.title = t('Pipelines');
    this.icon = labIcon('pipelines');
    this._tabs = new Tabs(app, _context);
    const began = (job: Job, path: string): void => {
      this._open(path);
      this._cards.get(path)?.adopt(job);
    };
    this._timetables = new Timetables(_context, app, this._tabs, () => this._files, began);
    const node = h('div', { class: 'mlops-view mlops-pipelines' }, this._list, this._timetables.node);
    fillWith(this._list, loadingState(3));
    this._timetables.node.hidden = true;
    // A file that is saved in JupyterLab is read again; the project's own folder tells nothing of it.
    app.serviceManager.contents.fileChanged.connect((_, change) => {
      if (/\.(ya?ml|ipynb|py)$/.test(change.newValue?.path ?? change.oldValue?.path ?? '')) {
        _context.touch('pipelines');
      }
    });
    this.widget = new Widget({ node });
  }

  readonly id = 'pipelines';
  readonly title: string;
  readonly icon: LabIcon;
  readonly widget: Widget;
  readonly concerns: readonly Change[] = ['pipelines', 'runs', 'schedules'];

  refresh(): void {
    const folder = this._context.folder;
    if (this._asking) {
      this._again = true;
      return;
    }
    this._asking = true;
    void this._ask(folder).finally(() => {
      // A run that goes on tells of changes all the time.
      setTimeout(() => {
        this._asking = false;
        if (this._again) {
          this._again = false;
          this.refresh();
        }
      }, PAUSE);
    });
  }

  setVisible(): void {
    // What it shows is asked for by `refresh`, and a run that it watches is not begun anew.
  }

  remember(): Record<string, unknown> {
    const params = Object.fromEntries([...this._cards].map(([path, card]) => [path, card.params]));
    return { open: this._opened, params };
  }

  restore(remembered: Record<string, unknown>): void {
    this._opened = typeof remembered.open === 'string' ? remembered.open : this._opened;
    this._params = (remembered.params as Record<string, Record<string, unknown>> | undefined) ?? {};
  }

  /** Show one pipeline: by the path of its file, or by its name. */
  reveal(id: string): void {
    this._opened = this._files.find(file => file.name === id)?.path ?? id;
    this._open(this._opened);
    this._cards.get(this._opened)?.node.scrollIntoView({ block: 'nearest' });
  }

  private async _ask(folder: string): Promise<void> {
    try {
      const files = await this._context.server.ask<PipelineFile[]>('pipelines', {}, folder);
      if (folder === this._context.folder) {
        this._show(files);
        await Promise.all([this._timetables.refresh(), this._follow()]);
      }
    } catch (error) {
      if (folder === this._context.folder) {
        this._clear();
        fillWith(
          this._list,
          errorState(asServerError(error).message, () => this.refresh())
        );
      }
    }
  }

  private _show(files: PipelineFile[]): void {
    this._files = files;
    this._timetables.node.hidden = false;
    for (const [path, card] of this._cards) {
      if (!files.some(file => file.path === path)) {
        card.dispose();
        this._cards.delete(path);
      }
    }
    for (const file of files) {
      const known = this._cards.get(file.path);
      const card =
        known ?? new PipelineCard(this._context, this._tabs, file, open => this._open(open ? file.path : ''));
      this._cards.set(file.path, card);
      if (!known && this._params[file.path]) {
        card.params = this._params[file.path];
      }
      card.update(file);
    }
    const nodes = files.map(file => this._cards.get(file.path)?.node);
    if (
      nodes.length !== this._list.children.length ||
      nodes.some((node, index) => node !== this._list.children[index])
    ) {
      fillWith(this._list, nodes.length ? nodes : this._none());
      const known = this._opened === '' || files.some(file => file.path === this._opened);
      this._unfold(known ? (this._opened ?? '') : files.length === 1 ? files[0].path : '');
    }
  }

  private _none(): HTMLElement {
    const hint = t('A pipeline.yaml names notebooks as steps; make a step of a run in Runs, or write one by hand.');
    return emptyState(t('No pipelines in this project'), hint, [], 'pipelines');
  }

  /** Watch what runs already: begun in another tab, or before the page was loaded anew. */
  private async _follow(): Promise<void> {
    const jobs = (await this._context.server.jobs()).filter(job => job.verb === 'run' && job.state !== 'ended');
    for (const job of jobs) {
      const [source = ''] = (job.arguments as { sources?: string[] } | undefined)?.sources ?? [];
      const file = this._files.find(one => `/${source}`.endsWith(`/${one.path}`));
      if (file) {
        this._cards.get(file.path)?.adopt(this._context.server.job(job.id));
      }
    }
  }

  private _open(path: string): void {
    if (this._opened !== path) {
      this._opened = path;
      this._context.keep();
    }
    this._unfold(path);
  }

  private _unfold(path: string): void {
    this._cards.forEach((card, own) => (card.open = own === path));
  }

  private _clear(): void {
    this._cards.forEach(card => card.dispose());
    this._cards.clear();
    this._files = [];
    fillWith(this._list, loadingState(3));
    this._timetables.node.hidden = true;
  }

  private readonly _list = h('div', { class: 'mlops-pipeline-list' });
  private readonly _tabs: Tabs;
  private readonly _timetables: Timetables;
  private readonly _cards = new Map<string, PipelineCard>();
  private _files: PipelineFile[] = [];
  private _opened: string | null = null;
  private _params: Record<string, Record<string, unknown>> = {};
  private _asking = false;
  private _again = false;
}
