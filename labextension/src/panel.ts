import { Token } from '@lumino/coreutils';

import type { Context } from './context';

/** The panel as the other plugins see it. */
export interface IPanel {
  /** What every section gets: the server, the folder, the current notebook. */
  readonly context: Context;

  /** Show the panel with one section opened: runs, data, pipelines, models or monitor. */
  open(section: string): void;

  /** Show a run in the section Runs. */
  reveal(run: string): void;
}

/** How the other plugins ask for the panel. */
export const IPanel = new Token<IPanel>(
  '@jupyter-mlops/labextension:IPanel',
  'The panel with runs, data, pipelines, models and monitoring.'
);
