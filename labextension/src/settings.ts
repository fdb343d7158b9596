import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal, type ISignal } from '@lumino/signaling';

/** The plugin whose settings are those of the whole extension (schema/plugin.json). */
export const SETTINGS = '@jupyter-mlops/labextension:plugin';

/** What can be chosen in JupyterLab's settings editor; the schema says more. */
export interface Choices {
  badges: { run: boolean; stale: boolean; hidden: boolean; replay: boolean };
  sections: { runs: boolean; data: boolean; pipelines: boolean; models: boolean; monitor: boolean };
  metric: string;
  live: boolean;
  trackAlways: boolean;
}

const DEFAULTS: Choices = {
  badges: { run: true, stale: true, hidden: true, replay: true },
  sections: { runs: true, data: true, pipelines: true, models: true, monitor: true },
  metric: '',
  live: true,
  trackAlways: false
};

/** The choices as they are now, and a word when they become others. Without a registry they stay as they come. */
export class Settings {
  /** The settings of this page: every plugin of ours reads the same. */
  static of(registry: ISettingRegistry | null): Settings {
    shared ??= new Settings(registry);
    return shared;
  }

  private constructor(registry: ISettingRegistry | null) {
    this.ready = this._load(registry);
  }

  /** Fulfilled when the choices were read, or could not be. */
  readonly ready: Promise<void>;

  get choices(): Choices {
    return this._choices;
  }

  get changed(): ISignal<this, Choices> {
    return this._changed;
  }

  private async _load(registry: ISettingRegistry | null): Promise<void> {
    try {
      const settings = await registry?.load(SETTINGS);
      const read = (): void => {
        const told = (settings?.composite ?? {}) as Partial<Choices>;
        this._choices = {
          ...DEFAULTS,
          ...told,
          badges: { ...DEFAULTS.badges, ...told.badges },
          sections: { ...DEFAULTS.sections, ...told.sections }
        };
        this._changed.emit(this._choices);
      };
      settings?.changed.connect(read);
      read();
    } catch (error) {
      console.warn('The settings of jupyter_mlops could not be read; its defaults hold.', error);
    }
  }

  private _choices = DEFAULTS;
  private readonly _changed = new Signal<this, Choices>(this);
}

let shared: Settings | null = null;
