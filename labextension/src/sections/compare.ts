import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Change, Context } from '../context';
import { fillWith, h } from '../kit/dom';
import { errorState, loadingState } from '../kit/empty';
import { short } from '../kit/format';
import { t } from '../kit/texts';
import { LocalModel, type Action, type View } from '../model';
import type { Comparison, Diff, SnapshotView } from '../records';
import { asServerError } from '../server';
import { showTab } from '../tab';
import comparisonView from '../views/comparison';
import diffView from '../views/diff';
import snapshotView from '../views/snapshot';

/**
 * Open a main-area tab that shows runs side by side: what differs in parameters, metrics, code and data, with plots.
 * The tab of the same runs, where it is open already, comes to the front. Give two ids or more.
 */
export function openComparison(app: JupyterFrontEnd, context: Context, ids: readonly string[]): void {
  const folder = context.folder;
  const act = (action: Action): void =>
    action.do === 'diff'
      ? openDiff(app, context, String(action.a), String(action.b), action.names as string[])
      : context.want(String(action.run));
  const model = new LocalModel({ answer: null, actions: ['reveal', 'diff'] }, act);
  const ask = async (): Promise<void> =>
    model.set('answer', await context.server.ask<Comparison>('compare', { runs: ids }, folder));
  const title = t('Comparison of %1 runs', ids.length);
  showTab(app, `compare-${folder}-${ids.join('-')}`, title, 'compare', () => {
    const content = new ViewTab(comparisonView, model, ask);
    content.follow(context, changes => {
      const runs = model.get<Comparison | null>('answer')?.runs ?? [];
      return changes.includes('runs') && runs.some(run => run.status === 'RUNNING');
    });
    return content;
  });
}

/** Open a main-area tab with the difference from snapshot `a` to `b`, two digests; `names` are what they are called. */
export function openDiff(
  app: JupyterFrontEnd,
  context: Context,
  a: string,
  b: string,
  names: readonly string[] = []
): void {
  const folder = context.folder;
  const model = new LocalModel({ answer: null, names });
  const ask = async (): Promise<void> => model.set('answer', await context.server.ask<Diff>('diff', { a, b }, folder));
  const title = t('%1 and %2', names[0] || short(a), names[1] || short(b));
  showTab(app, `diff-${folder}-${a}-${b}`, title, 'compare', () => new ViewTab(diffView, model, ask));
}

/** Open a main-area tab with one snapshot: its schema, first rows, and the distribution of each column. */
export function openSnapshot(app: JupyterFrontEnd, context: Context, digest: string): void {
  const folder = context.folder;
  const model = new LocalModel({ answer: null, actions: ['reveal'] }, action => context.want(String(action.run)));
  const tab = showTab(app, `snapshot-${folder}-${digest}`, t('Snapshot %1', short(digest)), 'data', () => {
    return new ViewTab(snapshotView, model, async () => {
      const view = await context.server.ask<SnapshotView>('snapshot', { digest }, folder);
      model.set('answer', view);
      tab.title.label = view.snapshot.name || tab.title.label;
    });
  });
}

/** The content of a tab: a view, once what it shows has come; else what went wrong, and how to try again. */
class ViewTab extends Widget {
  constructor(
    private readonly _view: View,
    private readonly _model: LocalModel,
    private readonly _ask: () => Promise<void>
  ) {
    super({ node: h('div', { class: 'mlops-view mlops-tab', tabindex: -1 }) });
    void this.load();
  }

  /** Ask again whenever `concerns` says that a change may make what is shown old. */
  follow(context: Context, concerns: (changes: readonly Change[]) => boolean): void {
    const hear = (_: Context, changes: Change[]): void => {
      if (this.isVisible && concerns(changes)) {
        void this._ask().catch(() => undefined);
      }
    };
    context.changed.connect(hear);
    this.disposed.connect(() => context.changed.disconnect(hear));
  }

  /** Ask for what is shown, and show it. */
  async load(): Promise<void> {
    fillWith(this.node, loadingState(8));
    try {
      await this._ask();
    } catch (error) {
      fillWith(
        this.node,
        errorState(asServerError(error).message, () => void this.load())
      );
      return;
    }
    if (!this.isDisposed) {
      const place = h('div');
      fillWith(this.node, place);
      this._clear = this._view.render({ model: this._model, el: place });
    }
  }

  override dispose(): void {
    this._clear?.();
    super.dispose();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.focus();
  }

  private _clear: (() => void) | null = null;
}
