import type { Context } from '../context';
import { button, fillWith, h, type Child } from '../kit/dom';
import { errorState, loadingState } from '../kit/empty';
import { ago, number } from '../kit/format';
import { icon, type IconName } from '../kit/icons';
import { badge } from '../kit/status';
import { t } from '../kit/texts';
import { LocalModel, type Action } from '../model';
import type { ListedModel, ModelView, Report, ServiceState } from '../records';
import { asServerError } from '../server';
import versions, { aliasBadge } from '../views/versions';
import { auditLog, verification } from './log';
import { serviceCard } from './service';

/** What was asked of a model: promote, rollback, check, ...; `fold`: it or one of its versions was opened or closed. */
export interface Doing {
  do: string;
  version?: number;
  run?: string;
}

const ACTIONS = ['promote', 'check', 'approve', 'card', 'lineage', 'run'];
const EARLIER = 100;

/** One registered model of the list: a heading that unfolds its versions, services and audit log. */
export class ModelItem {
  constructor(
    private readonly _context: Context,
    readonly name: string,
    open: boolean,
    selected: number,
    private readonly _act: (doing: Doing) => void
  ) {
    this.element = h('section', { class: 'mlops-model', data: { model: name } }, this._head, this._body);
    this._head.addEventListener('click', () => this.unfold(!this._unfolded));
    this._versions = new LocalModel({ model: null, selected, actions: ACTIONS }, action => this._asked(action));
    this._versions.on('change:selected', () => this._act({ do: 'fold' }));
    versions.render({ model: this._versions, el: this._list });
    this._unfolded = open;
  }

  readonly element: HTMLElement;

  /** What was told of it last; null while nothing was. */
  get view(): ModelView | null {
    return this._view;
  }

  get unfolded(): boolean {
    return this._unfolded;
  }

  /** The version that is opened; 0 for none. */
  get selected(): number {
    return this._versions.get<number>('selected');
  }

  /** Show what the list says of it, and ask for more where it is unfolded. */
  update(listed: ListedModel, services: ServiceState[]): void {
    this._listed = listed;
    this._services = services;
    this._heading();
    if (this._unfolded) {
      void this._ask();
    }
  }

  /** Show what its services say now. */
  serve(services: ServiceState[]): void {
    this._services = services;
    this._heading();
    this._serving();
  }

  /** Unfold it or fold it, with a version opened. */
  unfold(unfolded: boolean, selected?: number): void {
    if (selected !== undefined) {
      this._versions.set('selected', selected);
    }
    if (unfolded !== this._unfolded) {
      this._unfolded = unfolded;
      this._heading();
      this._act({ do: 'fold' });
      if (unfolded) {
        void this._ask();
      }
    }
  }

  private async _ask(): Promise<void> {
    const turn = ++this._turn;
    if (!this._view) {
      fillWith(this._body, loadingState(3));
    }
    try {
      const args = { name: this.name, entries: this._entries };
      const view = await this._context.server.ask<ModelView>('model', args, this._context.folder);
      if (turn === this._turn) {
        this._show(view);
      }
    } catch (error) {
      if (turn === this._turn) {
        this._view = null;
        fillWith(
          this._body,
          errorState(asServerError(error).message, () => void this._ask())
        );
      }
    }
  }

  private _show(view: ModelView): void {
    const first = this._view === null;
    this._view = view;
    this._services = view.services;
    this._versions.set('model', view);
    fillWith(this._tools, this._toolbar(view));
    fillWith(
      this._notes,
      view.notes.map(note => h('p', { class: 'mlops-quiet' }, note))
    );
    this._serving();
    const focused = (document.activeElement as HTMLElement | null)?.dataset?.key;
    fillWith(
      this._log,
      auditLog(view, () => this._more())
    );
    if (focused === 'log-more') {
      this._log.querySelector<HTMLElement>('[data-key="log-more"]')?.focus();
    }
    if (first) {
      const hint = t("See whether no entry of the project's audit log was changed, removed or reordered");
      const verify = button(t('Verify'), () => void this._verify(), { title: hint });
      verify.prepend(icon('shield'));
      const parts = [
        h('summary', {}, t('Audit log')),
        h('div', { class: 'mlops-actions' }, verify),
        this._verified,
        this._log
      ];
      const log = h('details', { class: 'mlops-model-part' }, parts);
      const title = h('h3', { class: 'mlops-model-title' }, t('Versions'));
      fillWith(this._body, this._tools, this._notes, title, this._list, this._service, log);
    }
  }

  private _heading(): void {
    const { aliases, metrics, versions: many, newest, changed, last } = this._listed;
    const state = this._services.find(service => service.state !== 'ended')?.state;
    const shown = Object.entries(metrics)
      .slice(0, 2)
      .map(([name, value]) => `${name} ${number(value)}`);
    const bare =
      newest === null
        ? t('no versions')
        : many === 1
          ? t('1 version, no champion')
          : t('%1 versions, no champion', many);
    const parts: Child[] = [
      h(
        'span',
        { class: 'mlops-model-line' },
        icon(this._unfolded ? 'down' : 'right'),
        h('span', { class: 'mlops-model-name' }, this.name),
        aliases.champion ? aliasBadge('champion', `v${aliases.champion}`, t('champion')) : null,
        aliases.challenger ? aliasBadge('challenger', `v${aliases.challenger}`, t('challenger')) : null,
        state ? badge(state === 'ready' ? 'good' : 'warn', 'play', state === 'ready' ? t('served') : t(state)) : null
      ),
      h(
        'span',
        { class: 'mlops-model-about' },
        aliases.champion ? shown.join(' · ') : bare,
        changed ? h('span', { title: last }, ago(changed)) : null
      )
    ];
    fillWith(this._head, parts);
    this._head.setAttribute('aria-expanded', String(this._unfolded));
    this._body.hidden = !this._unfolded;
  }

  private _toolbar(view: ModelView): HTMLElement {
    const has = (alias: string): boolean => view.versions.some(item => item.aliases.includes(alias));
    const tool = (name: string, label: string, shape: IconName, hint: string, disabled = false): HTMLElement => {
      const act = (): void => this._act({ do: name });
      const made = button(label, act, { title: hint, disabled, data: { action: name } });
      made.prepend(icon(shape));
      return made;
    };
    const back = has('previous')
      ? t('Make the champion before this one champion again')
      : t('There was no champion before this one');
    return h(
      'div',
      { class: 'mlops-actions' },
      tool('promote', t('Promote…'), 'up', t('Give a version the alias champion or challenger')),
      tool('rollback', t('Roll back…'), 'replay', back, !has('previous'))
    );
  }

  private _serving(): void {
    const shown = JSON.stringify(this._services);
    if (shown !== this._served) {
      this._served = shown;
      const words = /^[\w.-]+$/.test(this.name) ? this.name : `'${this.name}'`;
      const none = [
        t('No service of it runs here. In a terminal, this starts one: '),
        h('code', {}, `mlops serve ${words}`)
      ];
      const cards = this._services.length ? this._services.map(serviceCard) : h('p', { class: 'mlops-quiet' }, none);
      fillWith(this._service, h('h3', { class: 'mlops-model-title' }, t('Service')), cards);
    }
  }

  private async _verify(): Promise<void> {
    fillWith(this._verified, loadingState(1));
    try {
      fillWith(
        this._verified,
        verification(await this._context.server.ask<Report>('audit', { verify: true }, this._context.folder))
      );
    } catch (error) {
      fillWith(this._verified, errorState(asServerError(error).message));
    }
  }

  private _more(): void {
    this._entries += EARLIER;
    void this._ask();
  }

  private _asked(action: Action): void {
    this._act({ do: action.do, version: action.version as number | undefined, run: action.run as string | undefined });
  }

  private _listed!: ListedModel;
  private _services: ServiceState[] = [];
  private _served = '';
  private _view: ModelView | null = null;
  private _unfolded = false;
  private _entries = 30;
  private _turn = 0;
  private readonly _versions: LocalModel;
  private readonly _head = h('button', { type: 'button', class: 'mlops-model-head' });
  private readonly _body = h('div', { class: 'mlops-model-body' });
  private readonly _tools = h('div', { class: 'mlops-model-tools' });
  private readonly _notes = h('div', {});
  private readonly _service = h('div', { class: 'mlops-model-service' });
  private readonly _list = h('div', {});
  private readonly _verified = h('div', { 'aria-live': 'polite' });
  private readonly _log = h('div', { class: 'mlops-model-log' });
}
