import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import { NotebookActions, type INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';

import { t } from './kit/texts';

/** The line that starts tracking in a notebook. */
export const LOAD_LINE = '%load_ext jupyter_mlops';

/**
 * Show the cell of a notebook: open the notebook, scroll to the cell, and let it flash. `path` is as a run has it,
 * relative to its project, which is `folder` or one above it. Rejects with a sentence when the notebook or the cell
 * is not there any more.
 */
export async function revealCell(app: JupyterFrontEnd, folder: string, path: string, cell: string): Promise<void> {
  const found = await findFile(app, folder, path);
  if (!found) {
    throw new Error(t('The notebook %1 is not there any more: it may have been moved or renamed.', path));
  }
  const panel: NotebookPanel | undefined = await app.commands.execute('docmanager:open', { path: found });
  if (!panel?.content?.widgets) {
    return;
  }
  await panel.context.ready;
  await panel.revealed;
  const index = panel.content.widgets.findIndex(widget => widget.model.id === cell);
  if (index < 0) {
    throw new Error(t('The cell that made this run is not in %1 any more.', path));
  }
  app.shell.activateById(panel.id);
  panel.content.deselectAll();
  panel.content.activeCellIndex = index;
  await panel.content.scrollToItem(index, 'center');
  const { node } = panel.content.widgets[index];
  node.classList.remove('mlops-flash');
  void node.offsetWidth; // so that a second time flashes again
  node.classList.add('mlops-flash');
  window.setTimeout(() => node.classList.remove('mlops-flash'), 2000);
}

/**
 * Where a file lies that a project knows by a relative path, for the contents of JupyterLab; null when it is nowhere.
 */
export async function findFile(app: JupyterFrontEnd, folder: string, path: string): Promise<string | null> {
  for (let base = folder; ; base = PathExt.dirname(base)) {
    const whole = PathExt.join(base, path);
    try {
      await app.serviceManager.contents.get(whole, { content: false });
      return whole;
    } catch {
      // Not below this folder: the project may be one above.
    }
    if (!base || base === '.') {
      return null;
    }
  }
}

/** Put a cell that starts tracking on top of the current notebook, and run it. False when no notebook is open. */
export async function insertLoad(notebooks: INotebookTracker | null): Promise<boolean> {
  const panel = notebooks?.currentWidget;
  if (!panel?.content.model) {
    return false;
  }
  panel.content.activeCellIndex = 0;
  NotebookActions.insertAbove(panel.content);
  panel.content.activeCell?.model.sharedModel.setSource(LOAD_LINE);
  await panel.content.scrollToItem(0);
  await NotebookActions.run(panel.content, panel.sessionContext);
  return true;
}
