import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { cells } from './cells';
import { commands } from './commands';
import { sidebar } from './sidebar';

/** What JupyterLab and Notebook load: the panel, what is shown in the cells, and the commands. */
const plugins: JupyterFrontEndPlugin<unknown>[] = [sidebar, cells, commands];

export default plugins;
