import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notebook, NotebookModel, type NotebookWidgetFactory } from '@jupyterlab/notebook';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Context } from '../context';
import { askForm, tellFailure } from '../dialogs';
import { plain } from '../graph/steps';
import { button, fillWith, h } from '../kit/dom';
import { emptyState, errorState, loadingState } from '../kit/empty';
import type { IconName } from '../kit/icons';
import { t } from '../kit/texts';
import type { View, Model } from '../model';
import type { ExecutedNotebook, Log, Printed } from '../records';
import { asServerError } from '../server';
import { showTab } from '../tab';

/** Which step of which run something is about. */
export interface Which {
  pipeline: string;
  step: string;
  run: string;
}

/** A view in a tab of the main area, for as long as its tab is open. */
class ViewTab extends Widget {
  constructor(view: View, model: Model) {
    super();
    this.addClass('mlops-tab');
    this._end = view.render({ model, el: this.node });
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._end();
    }
    super.dispose();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.querySelector<HTMLElement>('button, [tabindex="0"]')?.focus();
  }

  private readonly _end: () => void;
}

/** Opens what is too wide for the panel: graphs, logs, notebooks, and files at a line. */
export class Tabs {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _context: Context
  ) {}

  /** Show a view in a tab of its own; where it is open already, bring it to the front. */
  view(id: string, title: string, shape: IconName, view: View, model: Model): void {
    showTab(this._app, id, title, shape, () => new ViewTab(view, model));
  }

  /** Open a file, at a line where there is one (from 1). */
  async file(path: string, line = 0): Promise<void> {
    const { commands } = this._app;
    const notebook = path.endsWith('.ipynb');
    const widget = await commands.execute('docmanager:open', notebook ? { path } : { path, factory: 'Editor' });
    if (!line || notebook || !widget) {
      return;
    }
    await widget.context?.ready;
    const editor = widget.content?.editor;
    const position = { line: line - 1, column: 0 };
    editor?.setCursorPosition(position);
    editor?.revealPosition(position);
    editor?.focus();
  }

  /** Show what a step printed. */
  log(which: Which): void {
    const ask = (): Promise<Log> => this._context.server.ask<Log>('step_log', which, folder);
    const folder = this._context.folder;
    this._log(`${which.pipeline}-${which.step}-${which.run}`, t('Log of %1', which.step), ask);
  }

  /** Show what the run of a due time printed. */
  scheduleLog(name: string, run: string): void {
    const folder = this._context.folder;
    const ask = (): Promise<Log> => this._context.server.ask<Log>('schedule_log', { name, run }, folder);
    this._log(`schedule-${name}-${run}`, t('Log of %1', name), ask);
  }

  /** Show the executed notebook of a step, to be read only; it can be copied to where it is worked with. */
  async notebook(which: Which): Promise<void> {
    const folder = this._context.folder;
    try {
      const found = await this._context.server.ask<ExecutedNotebook>('executed_notebook', which, folder);
      const title = t('%1, run %2', found.name, which.run.slice(0, 8));
      const name = `notebook-${which.pipeline}-${which.step}-${which.run}`;
      showTab(this._app, name, title, 'cell', () => this._reader(found, folder));
    } catch (error) {
      await tellFailure(t('Output notebook of %1', which.step), asServerError(error).message);
    }
  }

  private _reader(found: ExecutedNotebook, folder: string): Widget {
    const factory = this._app.docRegistry.getWidgetFactory('Notebook') as unknown as NotebookWidgetFactory;
    const model = new NotebookModel();
    const content = JSON.parse(found.text);
    for (const cell of content.cells ?? []) {
      // What ran is not edited, and what it printed runs nothing here before its reader trusts it.
      cell.metadata = { ...cell.metadata, editable: false, trusted: false };
    }
    model.fromJSON(content);
    const { rendermime, contentFactory, mimeTypeService, editorConfig, notebookConfig } = factory;
    const config = { ...notebookConfig, windowingMode: 'none' as const };
    const options = {
      rendermime: rendermime.clone(),
      contentFactory,
      mimeTypeService,
      editorConfig,
      notebookConfig: config
    };
    const view = new Notebook(options);
    view.model = model;
    view.disposed.connect(() => model.dispose());
    view.addClass('mlops-reader');
    const copy = button(t('Copy into the project'), () => void this._copy(found, folder));
    const words = h('span', { class: 'mlops-quiet' }, t('The notebook as it was executed, to be read only.'));
    view.node.prepend(h('div', { class: 'mlops-view mlops-toolbar mlops-reader-bar' }, words, copy));
    return view;
  }

  private async _copy(found: ExecutedNotebook, folder: string): Promise<void> {
    const value = [folder, found.name.replace(/\.ipynb$/, '-output.ipynb')].filter(Boolean).join('/');
    const fields = [
      {
        name: 'path',
        label: t('Copy to'),
        value,
        hint: t('From the folder that the file browser starts from.'),
        required: true
      }
    ];
    const answers = await askForm(t('Copy the executed notebook'), fields, t('Copy'));
    if (!answers) {
      return;
    }
    const path = String(answers.path)
      .replace(/^\/+/, '')
      .replace(/(\.ipynb)?$/, '.ipynb');
    const { contents } = this._app.serviceManager;
    try {
      if (
        await contents.get(path, { content: false }).then(
          () => true,
          () => false
        )
      ) {
        throw new Error(t('There is a file %1 already: choose another name.', path));
      }
      await contents.save(path, { type: 'notebook', format: 'json', content: JSON.parse(found.text) });
      await this.file(path);
    } catch (error) {
      await tellFailure(t('It was not copied'), asServerError(error).message);
    }
  }

  private _log(id: string, title: string, ask: () => Promise<Log>): void {
    const shown = showTab(this._app, `log-${id}`, title, 'note', () => new LogTab(ask));
    (shown.content as LogTab).refresh();
  }
}

/** What a step printed, cell by cell. */
class LogTab extends Widget {
  constructor(private readonly _ask: () => Promise<Log>) {
    super();
    this.addClass('mlops-tab');
    this.addClass('mlops-log');
    this.addClass('mlops-view');
    this._body = h('div', { class: 'mlops-log-body', 'aria-live': 'polite' });
    this.node.append(
      h(
        'div',
        { class: 'mlops-toolbar' },
        button(t('Refresh'), () => this.refresh())
      ),
      this._body
    );
  }

  refresh(): void {
    if (!this._body.hasChildNodes()) {
      fillWith(this._body, loadingState());
    }
    this._ask().then(
      log => fillWith(this._body, this._told(log)),
      error =>
        fillWith(
          this._body,
          errorState(asServerError(error).message, () => this.refresh())
        )
    );
  }

  private _told(log: Log): HTMLElement[] {
    const notes = [
      log.earlier ? t('The step was done already: this is from the run that made its latest result.') : '',
      log.cut ? t('The beginning is left out; the whole is in %1.', log.file) : ''
    ].filter(Boolean);
    const printed = log.printed.filter(piece => piece.text.trim() || piece.error);
    if (!printed.length) {
      return [emptyState(t('Nothing was printed'), t('The output notebook has what was drawn.'))];
    }
    return [...notes.map(words => h('p', { class: 'mlops-quiet' }, words)), ...printed.map(piece => part(piece))];
  }

  private readonly _body: HTMLElement;
}

function part(piece: Printed): HTMLElement {
  const head = piece.cell ? h('h3', {}, t('Cell %1', piece.cell)) : null;
  const source = piece.source ? h('pre', { class: 'mlops-code' }, piece.source) : null;
  const error = piece.error ? h('pre', { class: 'mlops-log-text mlops-step-error' }, plain(piece.error)) : null;
  return h(
    'section',
    {},
    head,
    source,
    piece.text.trim() ? h('pre', { class: 'mlops-log-text' }, piece.text) : null,
    error
  );
}
