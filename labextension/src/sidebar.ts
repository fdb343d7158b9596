import { ILayoutRestorer, JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';

import { Context } from './context';
import { svgText } from './kit/icons';
import { setTranslate, t } from './kit/texts';
import { IPanel } from './panel';
import { Server } from './server';
import { Settings } from './settings';
import { MlopsPanel } from './sidepanel';

/**
 * How long the file browser may take to find its folder, in ms, before it is taken to be where it wants to be: the
 * folder may be gone.
 */
const PATIENCE = 5000;

/** How long JupyterLab is left alone after its start, in ms, before the sections' code comes. */
const REST = 1500;

/** The panel beside the notebook, and what the other plugins may ask of it. */
export const sidebar: JupyterFrontEndPlugin<IPanel> = {
  id: '@jupyter-mlops/labextension:plugin',
  description: 'A panel with runs, data, pipelines, models and monitoring.',
  autoStart: true,
  provides: IPanel,
  optional: [
    INotebookTracker,
    IDefaultFileBrowser,
    ILayoutRestorer,
    IStateDB,
    ITranslator,
    ISettingRegistry,
    JupyterFrontEnd.ITreeResolver
  ],
  activate: (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker | null,
    files: IDefaultFileBrowser | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
    translator: ITranslator | null,
    registry: ISettingRegistry | null,
    tree: JupyterFrontEnd.ITreeResolver | null
  ): IPanel => {
    const texts = translator?.load('jupyter_mlops');
    if (texts) {
      setTranslate((text, ...values) => texts.__(text, ...values));
    }
    const context = new Context(new Server(app.serviceManager.serverSettings));
    const panel = new MlopsPanel(context, app, notebooks, state, Settings.of(registry));
    panel.title.icon = new LabIcon({ name: 'jupyter-mlops:panel', svgstr: svgText('runs') });
    panel.title.caption = t('MLOps: runs, data, pipelines, models, monitoring');
    app.shell.add(panel, 'left', { rank: 600, type: 'MLOps' });
    restorer?.add(panel, panel.id);
    follow(context, app, notebooks, files, tree);
    // The sections' code comes once JupyterLab stands and nothing else is to be done, so that the panel opens at once.
    const bring = (): number => window.requestIdleCallback(() => void import('./sections/all'), { timeout: 5000 });
    void app.restored.then(() => window.setTimeout(bring, REST));
    const open = (section: string): Promise<any> => {
      app.shell.activateById(panel.id);
      return panel.open(section);
    };
    const reveal = (run: string): void => void open('runs').then(section => section?.reveal?.(run));
    context.wanted.connect((_, run) => reveal(run));
    return { context, open: section => void open(section), reveal };
  }
};

/** Keep the context at the place that the reader is at: the current notebook's, else the file browser's. */
function follow(
  context: Context,
  app: JupyterFrontEnd,
  notebooks: INotebookTracker | null,
  files: IDefaultFileBrowser | null,
  tree: JupyterFrontEnd.ITreeResolver | null
): void {
  const local = (path: string): string => app.serviceManager.contents.localPath(path);
  const browsed = (): string => local(files?.model.path ?? '');
  let settled = false;
  const look = (): void => {
    if (!settled) {
      return;
    }
    const notebook = local(notebooks?.currentWidget?.context.path ?? '');
    const folder = notebook ? PathExt.dirname(notebook) : browsed();
    context.move({ folder: folder === '.' ? '' : folder, notebook });
  };
  notebooks?.currentChanged.connect((_, current) => {
    current?.context.pathChanged.connect(look);
    look();
  });
  files?.model.pathChanged.connect(look);
  // Until the file browser stands where it stood, or where the address says, it is at the root: another project, maybe.
  const arrived = async (): Promise<void> => {
    if (files) {
      await files.model.restored;
      const asked = await tree?.paths;
      const path = asked?.browser || asked?.file || '';
      const wanted = PathExt.extname(path) ? PathExt.dirname(path) : path;
      while (wanted && browsed() !== wanted) {
        await new Promise<void>(resolve => files.model.pathChanged.connect(() => resolve()));
      }
    }
  };
  const patience = new Promise<void>(resolve => setTimeout(resolve, PATIENCE));
  void Promise.all([app.restored, Promise.race([arrived(), patience])]).then(() => {
    settled = true;
    look();
  });
}
