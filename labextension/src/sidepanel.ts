import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { IStateDB } from '@jupyterlab/statedb';
import { SidePanel } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { AccordionPanel, Widget } from '@lumino/widgets';

import type { Change, Context } from './context';
import { errorState } from './kit/empty';
import { fillWith, h } from './kit/dom';
import { t } from './kit/texts';
import type { Section } from './sections/section';
import type { ServerError } from './server';
import type { Settings } from './settings';

/** What is remembered of the panel: which sections are unfolded, and what each of them wants to find again. */
interface Remembered {
  open?: string[];
  sections?: Record<string, Record<string, unknown>>;
}

const STATE = 'jupyter-mlops:panel';
const LEAST = 0.08;

/**
 * The panel beside the notebook: five sections that fold. They are made when the panel is shown for the first time;
 * the server is
 * listened to only while it is on view.
 */
export class MlopsPanel extends SidePanel {
  constructor(
    private readonly _context: Context,
    private readonly _app: JupyterFrontEnd,
    private readonly _notebooks: INotebookTracker | null,
    private readonly _state: IStateDB | null,
    private readonly _settings: Settings
  ) {
    super();
    this.id = 'jupyter-mlops';
    this.addClass('mlops-view');
    this.addClass('mlops-panel');
    this._notice = new Widget({ node: h('div', { class: 'mlops-notice', 'aria-live': 'polite' }) });
    this.header.addWidget(this._notice);
    this.header.hide();
    _context.changed.connect((_, changes) => this._onChanged(changes));
    this._onPage = () => this._look();
    document.addEventListener('visibilitychange', this._onPage);
    _settings.changed.connect(() => this._look());
  }

  /** Unfold one section, and give it once it is there. */
  async open(id: string): Promise<Section | undefined> {
    await this._make();
    const index = this._sections.findIndex(section => section.id === id);
    if (index >= 0) {
      this._accordion.expand(index);
      this._look();
    }
    return this._sections[index];
  }

  override dispose(): void {
    document.removeEventListener('visibilitychange', this._onPage);
    this._listening?.dispose();
    super.dispose();
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._look();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._look();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._look();
  }

  /** See what is on view now, and listen or stop listening accordingly. */
  private _look(): void {
    const visible = this.isVisible && !document.hidden && !this.isDisposed && this._context.placed;
    this._context.visible = visible;
    const live = visible && this._settings.choices.live;
    if (!live) {
      this._listening?.dispose();
      this._listening = null;
    }
    if (visible) {
      void this._make();
    }
    if (live) {
      this._listen();
    }
    this._sections.forEach((section, index) => {
      const shown = visible && !this._accordion.widgets[index].isHidden;
      if (shown !== this._shown.has(section.id)) {
        shown ? this._shown.add(section.id) : this._shown.delete(section.id);
        section.setVisible(shown);
        if (shown) {
          section.refresh();
        }
      }
    });
  }

  private get _accordion(): AccordionPanel {
    return this.content as AccordionPanel;
  }

  private _make(): Promise<void> {
    this._made ??= this._build().catch(error => {
      // The code of the sections did not come: after an upgrade, for instance, until the page is loaded anew.
      this._made = null;
      console.error(error);
      const message = t('The panel could not be loaded: reload the page.');
      this.header.show();
      fillWith(this._notice.node, errorState(message, () => this._look()));
    });
    return this._made;
  }

  private async _build(): Promise<void> {
    const [{ makers }, remembered] = await Promise.all([import('./sections/all'), this._state?.fetch(STATE)]);
    await this._settings.ready;
    const { metric, sections: chosen } = this._settings.choices;
    const { open = ['runs'], sections = {} } = (remembered ?? {}) as Remembered;
    if (metric) {
      sections.runs = { ...sections.runs, metric: sections.runs?.metric || metric };
    }
    for (const make of makers(this._context, this._app, this._notebooks)) {
      const section = guarded(make);
      if (chosen[section.id as keyof typeof chosen] === false) {
        section.widget.dispose();
        continue;
      }
      section.widget.title.label = section.title;
      section.widget.title.caption = section.title;
      section.widget.addClass('mlops-view');
      section.widget.addClass('mlops-section');
      section.restore?.(sections[section.id] ?? {});
      this._sections.push(section);
      this.addWidget(section.widget);
    }
    this._sections.forEach((section, index) => {
      if (!open.includes(section.id)) {
        this._accordion.collapse(index);
      }
    });
    this._accordion.expansionToggled.connect(() => {
      this._share();
      this._look();
      this._keep();
    });
    this._context.kept.connect(() => this._keep());
    this._look();
  }

  /**
   * Where a section that was unfolded has no room, all that are unfolded share it equally: Lumino gives one that never
   * had any none.
   */
  private _share(): void {
    const sizes = this._accordion.relativeSizes();
    const open = this._accordion.widgets.map(widget => !widget.isHidden);
    if (open.some((unfolded, index) => unfolded && !(sizes[index] > LEAST))) {
      this._accordion.setRelativeSizes(open.map(unfolded => (unfolded ? 1 : 0)));
    }
  }

  private _listen(): void {
    const folder = this._context.folder;
    if (this._listening && folder === this._folder) {
      return;
    }
    this._listening?.dispose();
    this._folder = folder;
    this._listening = this._context.server.live(
      folder,
      changed => this._context.touch(...(changed as Change[])),
      error => this._tell(error)
    );
  }

  /** Say why nothing is live, and how to try again; take it away when it works again. */
  private _tell(error?: ServerError): void {
    const missing = error?.trouble === 'missing';
    this.content.setHidden(missing);
    this.header.setHidden(!error);
    const again = (): void => {
      this._listening?.dispose();
      this._listening = null;
      this._look();
      this._context.touch('place');
    };
    fillWith(this._notice.node, error && errorState(error.message, again));
  }

  private _onChanged(told: readonly Change[]): void {
    // Who wants nothing live is not shown what kernels tell, either.
    const changes = this._settings.choices.live ? told : told.filter(change => change !== 'cells');
    if (changes.includes('place')) {
      this._look();
    }
    for (const section of this._sections) {
      const concerned = changes.some(change => change === 'place' || section.concerns.includes(change));
      if (concerned && this._shown.has(section.id)) {
        section.refresh();
      }
    }
  }

  /** Remember, a moment later: what changes at once is kept at once. */
  private _keep(): void {
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => {
      const open = this._sections.filter(
        (_, index) => !this._accordion.widgets[index].isHidden
      ).map(section => section.id);
      const sections = Object.fromEntries(this._sections.map(section => [section.id, section.remember?.() ?? {}]));
      void this._state?.save(STATE, { open, sections } as any);
    }, 200);
  }

  private readonly _sections: Section[] = [];
  private readonly _shown = new Set<string>();
  private readonly _notice: Widget;
  private readonly _onPage: () => void;
  private _made: Promise<void> | null = null;
  private _listening: IDisposable | null = null;
  private _folder = '';
  private _timer = 0;
}

/** A section; where it could not be made, one that says so: the others are there all the same. */
function guarded(make: () => Section): Section {
  try {
    return make();
  } catch (error) {
    const node = h('div', {}, errorState(t('This section could not be shown: %1', String((error as Error).message))));
    console.error(error);
    const nothing = (): void => undefined;
    const widget = new Widget({ node });
    return { id: '', title: t('Not there'), widget, concerns: [], refresh: nothing, setVisible: nothing };
  }
}
