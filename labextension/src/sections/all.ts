import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { INotebookTracker } from '@jupyterlab/notebook';

import type { Context } from '../context';
import { dataSection } from './data';
import { modelsSection } from './models';
import { monitorSection } from './monitor';
import { pipelinesSection } from './pipelines';
import { runsSection } from './runs';
import type { Section } from './section';

/**
 * How each section is made, in the panel's order. Loaded when the panel comes on view for the first time, not with
 * JupyterLab.
 */
export function makers(context: Context, app: JupyterFrontEnd, notebooks: INotebookTracker | null): (() => Section)[] {
  return [
    () => runsSection(context, app, notebooks),
    () => dataSection(context, app),
    () => pipelinesSection(context, app),
    () => modelsSection(context, app),
    () => monitorSection(context, app)
  ];
}
