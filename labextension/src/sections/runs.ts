import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';

import type { Change, Context } from '../context';
import { button, fillWith, h } from '../kit/dom';
import { emptyState, errorState, loadingState } from '../kit/empty';
import { count } from '../kit/format';
import { t } from '../kit/texts';
import { LocalModel, type Action } from '../model';
import { insertLoad, LOAD_LINE } from '../notebook';
import type { Run } from '../records';
import { ACTIONS, RunActs } from '../runs/acts';
import { Pages, type Page } from '../runs/pages';
import { sortOf, whereOf } from '../runs/search';
import { asServerError, ServerError } from '../server';
import runsView from '../views/runs';
import type { Section } from './section';

/** The section Runs: live, searched, sorted, compared, replayed. */
export function runsSection(context: Context, app: JupyterFrontEnd, notebooks: INotebookTracker | null): Section {
  return new RunsSection(context, app, notebooks);
}

/** What is remembered: the choices of the reader, not what was found. */
const KEPT = ['metric', 'param', 'sort'];

class RunsSection implements Section {
  constructor(
    private readonly _context: Context,
    app: JupyterFrontEnd,
    private readonly _notebooks: INotebookTracker | null
  ) {
    this.title = t('Runs');
    const values = { runs: [], selected: [], work: {}, outcomes: {}, stories: {}, actions: ACTIONS };
    this._model = new LocalModel(values, action => this._act(action));
    this._acts = new RunActs(_context, app, this._model);
    this._pages = new Pages<Run>(
      (offset, limit) => this._ask(offset, limit),
      () => this._show(),
      error => this._fail(error)
    );
    for (const name of KEPT) {
      this._model.on(`change:${name}`, () => _context.keep());
    }
    this._search = this._searchBox();
    this._scopes = h('div', { class: 'mlops-segments', role: 'group', 'aria-label': t('Whose runs') });
    this._said = h('div', { class: 'mlops-runs-said', role: 'status' });
    this._host = h('div', { class: 'mlops-runs-host' });
    this._state = h('div', {}, loadingState());
    const head = h('div', { class: 'mlops-toolbar' }, h('div', { class: 'mlops-grow' }, this._search), this._scopes);
    this.widget = new Widget({
      node: h('div', { class: 'mlops-runs-section' }, head, this._said, this._state, this._host)
    });
    this._host.hidden = true;
    this._drawScopes();
    const view = h('div', {});
    this._host.appendChild(view);
    runsView.render({ model: this._model, el: view });
  }

  readonly id = 'runs';
  readonly title: string;
  readonly widget: Widget;
  readonly concerns: readonly Change[] = ['runs', 'cells'];

  refresh(): void {
    const place = `${this._context.folder}\n${this._of === 'notebook' ? this._context.notebook : ''}`;
    this._drawScopes();
    if (place !== this._place) {
      this._place = place;
      void this._pages.restart();
    } else {
      void this._pages.refresh();
    }
  }

  setVisible(visible: boolean): void {
    window.clearInterval(this._clock);
    if (visible) {
      // "5 min ago" gets older while nothing else happens.
      this._clock = window.setInterval(() => this._model.set('runs', [...this._pages.rows]), 30000);
    }
  }

  remember(): Record<string, unknown> {
    const chosen = Object.fromEntries(KEPT.map(name => [name, this._model.get(name) ?? null]));
    return { ...chosen, of: this._of, search: this._search.value };
  }

  restore(remembered: Record<string, unknown>): void {
    for (const name of KEPT) {
      if (remembered[name] !== null && remembered[name] !== undefined) {
        this._model.set(name, remembered[name]);
      }
    }
    this._of = remembered.of === 'notebook' ? 'notebook' : 'all';
    this._search.value = typeof remembered.search === 'string' ? remembered.search : '';
    this._drawScopes();
  }

  /** Scroll to a run and unfold it; where the search or the notebook hides it, it is looked for among all. */
  reveal(id: string): void {
    this._model.set('reveal', id);
    if (this._model.get('reveal') === id && (this._search.value || this._of === 'notebook')) {
      this._search.value = '';
      this._of = 'all';
      this._again();
    }
  }

  private async _ask(offset: number, limit: number): Promise<Page<Run>> {
    const { server, folder, notebook } = this._context;
    const of = this._of === 'notebook' && notebook ? { notebook } : {};
    const args = {
      where: whereOf(this._search.value),
      sort: sortOf(this._model.get('sort') ?? null),
      limit,
      offset,
      ...of
    };
    const { runs, total } = await server.ask<{ runs: Run[]; total: number }>('runs', args, folder);
    return { rows: runs, total };
  }

  private _show(): void {
    const rows = this._pages.rows;
    const sought = this._search.value.trim() !== '';
    this._say(rows.length ? t('%1 runs', count(rows.length)) : '');
    if (rows.length === 1) {
      this._say(t('1 run'));
    }
    this._model.set('runs', rows);
    this._host.hidden = !rows.length;
    fillWith(this._state, rows.length > 0 ? null : sought ? this._nothingFound() : this._nothingYet());
  }

  private _fail(error: unknown): void {
    const { message, trouble, status } = asServerError(error);
    if (status === 400 && this._search.value.trim() && this._pages.rows.length) {
      // A filter that is not finished yet: what was found before stays.
      this._say(message, true);
    } else if (trouble === 'unreachable' && this._pages.rows.length) {
      this._say(message, true);
    } else {
      this._say('');
      this._host.hidden = true;
      fillWith(
        this._state,
        errorState(message, () => this._again(), this._unsort(error))
      );
    }
  }

  /** An order that no run has a value for is not the end: a button takes it back. */
  private _unsort(error: unknown): HTMLElement[] {
    const sorted = this._model.get('sort') && error instanceof ServerError && error.status === 400;
    const newest = (): void => {
      this._model.set('sort', null);
      this._again();
    };
    return sorted ? [button(t('Newest first'), newest)] : [];
  }

  private _nothingFound(): HTMLElement {
    const clear = button(t('Clear the search'), () => {
      this._search.value = '';
      this._again();
    });
    const hint = t('Search by a part of the name, or by what compares: auc > 0.8 and C = 0.1');
    return emptyState(t('No run matches'), hint, [clear], 'search');
  }

  private _nothingYet(): HTMLElement {
    const open = this._notebooks?.currentWidget;
    const insert = button(t('Insert and run it'), () => void insertLoad(this._notebooks), {
      class: 'mlops-button mlops-primary'
    });
    const line = h('code', { class: 'mlops-mono' }, LOAD_LINE);
    if (this._of === 'notebook') {
      const all = button(t('Show all runs'), () => this._scope('all'));
      const hint = [t('Fit a model in a cell after'), ' ', line];
      return emptyState(t('No runs of this notebook yet'), hint, [...(open ? [insert] : []), all], 'runs');
    }
    const hint = open
      ? [line, ' ', t('in a cell starts tracking: every fit after it becomes a run here.')]
      : [t('Open a notebook and write'), ' ', line, ' ', t('in a cell: every fit after it becomes a run here.')];
    return emptyState(t('No runs here yet'), hint, open ? [insert] : [], 'runs');
  }

  private _act(action: Action): void {
    switch (action.do) {
      case 'page':
        window.clearTimeout(this._wanted);
        this._wanted = window.setTimeout(() => this._pages.want(Number(action.from), Number(action.to)), 40);
        break;
      case 'sort':
        void this._pages.restart();
        break;
      case 'unfold':
        void this._unfold(String(action.run));
        break;
      default:
        void this._acts.act(action);
    }
  }

  /** Ask for what the list does not hold of a run: every step of metrics that another tool logged. */
  private async _unfold(id: string): Promise<void> {
    try {
      const { run } = await this._context.server.ask<{ run: Run }>('show', { run: id }, this._context.folder);
      if (Object.keys(run.series).length) {
        this._model.set('stories', { ...this._model.get<Record<string, Run>>('stories'), [id]: run });
      }
    } catch {
      // The list's own record is shown all the same.
    }
  }

  private _searchBox(): HTMLInputElement {
    const typed = (): void => {
      window.clearTimeout(this._typing);
      this._typing = window.setTimeout(() => this._again(), 250);
    };
    return h('input', {
      type: 'search',
      class: 'mlops-input mlops-search',
      'aria-label': t('Search runs'),
      placeholder: t('Name, or auc > 0.8 and C = 0.1'),
      spellcheck: 'false',
      on: { input: typed, search: typed }
    });
  }

  private _drawScopes(): void {
    const { notebook } = this._context;
    const look = `${this._of} ${notebook !== ''}`;
    if (look === this._scoped) {
      return;
    }
    this._scoped = look;
    const scope = (of: 'notebook' | 'all', words: string, tip: string): HTMLElement =>
      button(words, () => this._scope(of), {
        title: tip,
        'aria-pressed': String(this._of === of),
        disabled: of === 'notebook' && !notebook
      });
    fillWith(
      this._scopes,
      scope('notebook', t('Notebook'), t('Runs of this notebook')),
      scope('all', t('All'), t('All runs of the project'))
    );
  }

  private _scope(of: 'notebook' | 'all'): void {
    this._of = of;
    this._context.keep();
    this.refresh();
  }

  private _again(): void {
    this._context.keep();
    this._drawScopes();
    void this._pages.restart();
  }

  private _say(words: string, trouble = false): void {
    if (this._said.textContent !== words) {
      fillWith(this._said, words);
    }
    this._said.hidden = !words;
    this._said.classList.toggle('mlops-trouble', trouble);
  }

  private _of: 'notebook' | 'all' = 'all';
  private _place = '';
  private _scoped = '';
  private _typing = 0;
  private _wanted = 0;
  private _clock = 0;
  private readonly _model: LocalModel;
  private readonly _acts: RunActs;
  private readonly _pages: Pages<Run>;
  private readonly _search: HTMLInputElement;
  private readonly _scopes: HTMLElement;
  private readonly _said: HTMLElement;
  private readonly _host: HTMLElement;
  private readonly _state: HTMLElement;
}
