import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import type { Contents } from '@jupyterlab/services';

import { t } from './kit/texts';

/** Where a checkout of the project, and Binder, have the tutorials. */
const FOLDER = 'notebooks';

/** Open the first tutorial where there are any; else a small notebook of the same kind, made where the reader is. */
export async function openTutorial(app: JupyterFrontEnd, folder: string): Promise<void> {
  const path = (await tutorial(app)) ?? (await write(app, folder));
  await app.commands.execute('docmanager:open', { path, factory: 'Notebook' });
}

async function tutorial(app: JupyterFrontEnd): Promise<string | null> {
  try {
    const { content } = await app.serviceManager.contents.get(FOLDER);
    const paths = (content as Contents.IModel[]).map(item => item.path);
    return paths.filter(path => /^\d.*\.ipynb$/.test(PathExt.basename(path))).sort()[0] ?? null;
  } catch {
    return null;
  }
}

async function write(app: JupyterFrontEnd, folder: string): Promise<string> {
  const { contents } = app.serviceManager;
  const made = await contents.newUntitled({ type: 'notebook', path: folder });
  const cells = tour().map(([kind, source], index) => ({
    cell_type: kind,
    id: `tour-${index}`,
    metadata: {},
    source,
    ...(kind === 'code' ? { execution_count: null, outputs: [] } : {})
  }));
  const kernelspec = { name: 'python3', display_name: 'Python 3', language: 'python' };
  const content = { cells, metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 };
  await contents.save(made.path, { ...made, type: 'notebook', format: 'json', content });
  return made.path;
}

/** What the small notebook says and does. */
function tour(): ['markdown' | 'code', string][] {
  return [
    ['markdown', `# ${t('A tracked notebook')}\n\n${t('Run the cells from the top: each fit becomes a run.')}`],
    ['code', '%load_ext jupyter_mlops'],
    ['code', 'from sklearn.datasets import load_wine\nfrom sklearn.model_selection import train_test_split\n\n' +
      'wine = load_wine(as_frame=True)\n' +
      'X_train, X_test, y_train, y_test = train_test_split(wine.data, wine.target, random_state=0)'],
    ['code', 'from sklearn.ensemble import RandomForestClassifier\n\ntrees = 5\n' +
      'model = RandomForestClassifier(n_estimators=trees, max_depth=2, random_state=0).fit(X_train, y_train)\n' +
      'accuracy = model.score(X_test, y_test)\naccuracy'],
    ['markdown', t('Change `trees` and run the cell again. Then open Runs in the panel, and compare both runs.')],
    ['code', '%mlops runs'],
    ['markdown', t('Is the result reproducible? This runs everything again, in a kernel of its own, and compares.')],
    ['code', '%mlops replay']
  ];
}
