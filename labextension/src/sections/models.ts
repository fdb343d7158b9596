import type { JupyterFrontEnd } from '@jupyterlab/application';
import { LabIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import type { Change, Context } from '../context';
import { fillWith, h } from '../kit/dom';
import { emptyState, errorState, loadingState } from '../kit/empty';
import { svgText } from '../kit/icons';
import { t } from '../kit/texts';
import type { ModelList, Run, ServiceState } from '../records';
import { ModelItem, type Doing } from '../registry/item';
import { openCard, openLineage } from '../registry/pages';
import { approve, check, promote, register, rollBack } from '../registry/promoting';
import { asServerError } from '../server';
import type { Section } from './section';

const ICON = new LabIcon({ name: 'jupyter-mlops:models', svgstr: svgText('models') });
const PAUSE = 5000;

/** The section Models: registered models, their versions, gates, services and audit log. */
export function modelsSection(context: Context, app: JupyterFrontEnd): Section {
  return new Models(context, app);
}

/** Ask for a name and register the model of a run under it; resolves when the dialog was closed. */
export async function registerRun(app: JupyterFrontEnd, context: Context, run: Run): Promise<void> {
  await register(app, context, run);
}

class Models implements Section {
  readonly id = 'models';
  readonly title = t('Models');
  readonly icon = ICON;
  readonly concerns: readonly Change[] = ['models'];
  readonly widget = new Widget({ node: h('div', { class: 'mlops-view mlops-models' }) });

  constructor(
    private readonly _context: Context,
    private readonly _app: JupyterFrontEnd
  ) {
    fillWith(this.widget.node, loadingState());
  }

  refresh(): void {
    void this._refresh();
  }

  setVisible(visible: boolean): void {
    this._visible = visible;
    this._follow();
  }

  remember(): Record<string, unknown> {
    return this._decided ? { open: [...this._open], chosen: Object.fromEntries(this._chosen) } : {};
  }

  restore(remembered: Record<string, unknown>): void {
    const { open, chosen } = remembered;
    this._open = new Set(Array.isArray(open) ? open.filter(name => typeof name === 'string') : []);
    this._chosen = new Map(
      Object.entries((chosen ?? {}) as object).filter(([, version]) => typeof version === 'number')
    );
    this._decided = Array.isArray(open);
  }

  /** Open a model, given as NAME, or one version of it as NAME/3. */
  reveal(id: string): void {
    const [, name, version] = /^(.*?)(?:\/(\d+))?$/.exec(id) ?? [];
    this._open.add(name);
    this._decided = true;
    if (version) {
      this._chosen.set(name, Number(version));
    }
    this._items.get(name)?.unfold(true, version ? Number(version) : undefined);
    this._items.get(name)?.element.scrollIntoView({ block: 'nearest' });
    this.refresh();
  }

  private async _refresh(): Promise<void> {
    const turn = ++this._turn;
    try {
      const list = await this._context.server.ask<ModelList>('models', {}, this._context.folder);
      if (turn === this._turn) {
        this._show(list);
      }
    } catch (error) {
      if (turn === this._turn) {
        this._items.clear();
        fillWith(
          this.widget.node,
          errorState(asServerError(error).message, () => this.refresh())
        );
      }
    }
  }

  private _show(list: ModelList): void {
    const names = new Set(list.models.map(item => item.name));
    [...this._items.keys()].filter(name => !names.has(name)).forEach(name => this._items.delete(name));
    if (!list.models.length) {
      const hint = t('Choose a run with a model in Runs and register it; or, in a cell: %mlops register NAME');
      fillWith(this.widget.node, emptyState(t('No model is registered yet'), hint, [], 'models'));
      return;
    }
    if (!this._decided && list.models.length === 1) {
      this._open.add(list.models[0].name);
    }
    this._decided = true;
    const shown = list.models.map(listed => {
      const item = this._items.get(listed.name) ?? this._made(listed.name);
      item.update(
        listed,
        list.services.filter(service => service.name === listed.name)
      );
      return item.element;
    });
    const there = [...this.widget.node.children];
    if (there.length !== shown.length || shown.some((element, index) => element !== there[index])) {
      fillWith(this.widget.node, shown);
    }
    this._running = list.services.some(service => service.state !== 'ended');
    this._follow();
  }

  private _made(name: string): ModelItem {
    const item = new ModelItem(this._context, name, this._open.has(name), this._chosen.get(name) ?? 0, doing =>
      this._do(item, doing)
    );
    this._items.set(name, item);
    return item;
  }

  private _do(item: ModelItem, doing: Doing): void {
    const [context, view, version] = [this._context, item.view, doing.version ?? 0];
    if (doing.do === 'fold') {
      this._open[item.unfolded ? 'add' : 'delete'](item.name);
      this._chosen.set(item.name, item.selected);
      context.keep();
      return;
    }
    if (!view) {
      return;
    }
    const reveal = (run: string): void => context.want(run);
    const deeds: Record<string, () => unknown> = {
      promote: () => promote(context, view, doing.version),
      rollback: () => rollBack(context, view),
      check: () => check(context, view, version),
      approve: () => approve(context, view, version),
      card: () => openCard(this._app, context, item.name, version),
      lineage: () => openLineage(this._app, context, item.name, version, reveal),
      run: () => reveal(doing.run ?? '')
    };
    void deeds[doing.do]?.();
  }

  /** While it is on view and a service runs, look again every few seconds: traffic tells of itself to nobody. */
  private _follow(): void {
    window.clearTimeout(this._timer);
    if (this._visible && this._running) {
      this._timer = window.setTimeout(() => void this._look(), PAUSE);
    }
  }

  private async _look(): Promise<void> {
    try {
      const services = await this._context.server.ask<ServiceState[]>('services', {}, this._context.folder);
      for (const [name, item] of this._items) {
        item.serve(services.filter(service => service.name === name));
      }
      this._running = services.some(service => service.state !== 'ended');
    } catch {
      // The next change of the project asks again, and says what is wrong.
    }
    this._follow();
  }

  private _open = new Set<string>();
  private _chosen = new Map<string, number>();
  private _decided = false;
  private _visible = false;
  private _running = false;
  private _turn = 0;
  private _timer = 0;
  private readonly _items = new Map<string, ModelItem>();
}
