import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';

import type { Context } from '../context';
import type { ModelVersion, Run } from '../records';

/**
 * Register the model of a run in the kernel that made it, which still holds the data that it was fitted and tried on;
 * null where that kernel is not there any more, or at work. Rejects with the sentence of what is in the way. Nothing is
 * put into the notebook's names.
 */
export async function registerInKernel(
  app: JupyterFrontEnd,
  context: Context,
  run: Run,
  name: string
): Promise<ModelVersion | null> {
  const { sessions } = app.serviceManager;
  const path = [...sessions.running()].map(item => item.path).find(item => isOf(item, context, run));
  const model = path === undefined ? undefined : await sessions.findByPath(path);
  if (!model?.kernel) {
    return null;
  }
  const session = sessions.connectTo({ model });
  try {
    if (!session.kernel || !(await answers(session.kernel.info))) {
      return null;
    }
    const call = `__import__('jupyter_mlops').register(${JSON.stringify(run.id)}, ${JSON.stringify(name)})`;
    const plain = `__import__('jupyter_mlops.records', fromlist=['to_json']).to_json(${call})`;
    const told = `__import__('json').dumps(${plain}) if 'jupyter_mlops' in __import__('sys').modules else ''`;
    const request = { code: '', silent: true, store_history: false, user_expressions: { told }, allow_stdin: false };
    const reply = await session.kernel.requestExecute(request).done;
    const found = (reply?.content as any)?.user_expressions?.told;
    if (found?.status === 'error') {
      throw new Error(String(found.evalue));
    }
    const text = String(found?.data?.['text/plain'] ?? "''");
    return text.length > 2 ? JSON.parse(text.slice(1, -1).replace(/\\(['\\])/g, '$1')) : null;
  } finally {
    session.dispose();
  }
}

/** Whether a kernel answers soon; one that is at work does not. What the server lists of its state may be old. */
function answers(info: Promise<unknown>): Promise<boolean> {
  const late = new Promise<boolean>(resolve => setTimeout(resolve, PATIENCE, false));
  return Promise.race([info.then(() => true), late]).catch(() => false);
}

const PATIENCE = 3000;

function isOf(path: string, context: Context, run: Run): boolean {
  const named = (run.notebook ?? '').replace(/\\/g, '/');
  return (
    Boolean(named) && PathExt.basename(path) === PathExt.basename(named) && PathExt.dirname(path) === context.folder
  );
}
