import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IToolbarWidgetRegistry, Notification } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { IPanel } from '../panel';
import { Settings } from '../settings';
import { ICells, Notebooks } from './notebooks';
import { TrackButton } from './track';

/** Badges in the cells of every notebook, and the button Track in its toolbar. */
export const cells: JupyterFrontEndPlugin<ICells> = {
  id: '@jupyter-mlops/labextension:cells',
  description: 'Badges in the cells of a notebook, and the button Track in its toolbar.',
  autoStart: true,
  provides: ICells,
  requires: [INotebookTracker],
  // The panel comes first where there is one: from then on texts are said in the reader's language.
  optional: [IPanel, IToolbarWidgetRegistry, ISettingRegistry],
  activate: (
    _app: JupyterFrontEnd,
    tracker: INotebookTracker,
    panel: IPanel | null,
    toolbars: IToolbarWidgetRegistry | null,
    registry: ISettingRegistry | null
  ): ICells => {
    const notebooks = new Notebooks(tracker, Settings.of(registry), panel);
    notebooks.failed.connect((_, message) => Notification.error(message, { autoClose: 15_000 }));
    const trackButton = (notebook: NotebookPanel): TrackButton => new TrackButton(notebooks.lineOf(notebook));
    toolbars?.addFactory<NotebookPanel>('Notebook', 'mlops-track', trackButton);
    return notebooks;
  }
};
