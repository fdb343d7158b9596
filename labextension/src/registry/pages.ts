import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Widget } from '@lumino/widgets';

import type { Context } from '../context';
import { button, fillWith, h } from '../kit/dom';
import { emptyState, errorState } from '../kit/empty';
import { ago } from '../kit/format';
import { icon } from '../kit/icons';
import { ProgressLine } from '../kit/progress';
import { t } from '../kit/texts';
import type { Card, CardPage, Trace } from '../records';
import { asServerError } from '../server';
import { showTab } from '../tab';
import { work, type JobStage } from './job';
import { lineagePage } from './lineage';

/** Open a tab with the card of a model version, written now where there is none or something happened since. */
export function openCard(app: JupyterFrontEnd, context: Context, name: string, version: number): void {
  const title = t('Card of %1 version %2', name, version);
  open(
    app,
    context,
    `card-${name}/${version}`,
    title,
    node => void showCard(node, context, context.folder, `${name}/${version}`, title)
  );
}

/** Open a tab that shows the run, the code and the data behind a model version; `reveal` shows a run in its section. */
export function openLineage(
  app: JupyterFrontEnd,
  context: Context,
  name: string,
  version: number,
  reveal: (run: string) => void
): void {
  const title = t('Lineage of %1 version %2', name, version);
  open(
    app,
    context,
    `lineage-${name}/${version}`,
    title,
    node => void showLineage(node, context, context.folder, `${name}/${version}`, reveal)
  );
}

/** Show a page in a tab; `fill` puts into it what it is to show. */
function open(
  app: JupyterFrontEnd,
  context: Context,
  name: string,
  title: string,
  fill: (node: HTMLElement) => void
): void {
  showTab(app, `${name}-${context.folder}`, title, 'models', () => {
    const content = new Widget({ node: h('div', { class: 'mlops-view mlops-page', tabindex: -1 }) });
    fill(content.node);
    return content;
  });
}

async function showCard(
  node: HTMLElement,
  context: Context,
  folder: string,
  ref: string,
  title: string,
  anew = false
): Promise<void> {
  const again = (): void => void showCard(node, context, folder, ref, title, true);
  const ask = (): Promise<CardPage> => context.server.ask<CardPage>('card', { model: ref }, folder);
  try {
    let page = await ask();
    if (anew || page.stale || !page.html) {
      const line = new ProgressLine(t('Writing the card: the model is tried on its test data'));
      fillWith(node, h('div', { class: 'mlops-page-bar' }, line.element));
      const stage: JobStage = { say: words => line.say(words), cancel: null };
      await work<Card>(context, 'card', { name: ref, out: page.out }, stage, folder);
      page = await ask();
    }
    const when = h('span', { class: 'mlops-quiet' }, t('Written %1', ago(page.written)));
    const refresh = button(t('Write again'), again);
    refresh.prepend(icon('refresh'));
    const frame = h('iframe', { class: 'mlops-card', title, sandbox: '', srcdoc: page.html });
    fillWith(node, h('div', { class: 'mlops-page-bar' }, when, refresh, download(page)), frame);
  } catch (error) {
    fillWith(node, errorState(asServerError(error).message, again));
  }
}

/** A link that saves the page as a file. */
function download(page: CardPage): HTMLElement {
  const save = (): void => {
    const address = URL.createObjectURL(new Blob([page.html], { type: 'text/html' }));
    h('a', { href: address, download: `${page.model}-${page.version}-card.html` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  };
  const found = button(t('Download'), save);
  found.prepend(icon('down'));
  return found;
}

async function showLineage(
  node: HTMLElement,
  context: Context,
  folder: string,
  ref: string,
  reveal: (run: string) => void
): Promise<void> {
  fillWith(node, emptyState(t('Looking it up'), t('The run, its code and its data are found.'), [], 'link'));
  try {
    fillWith(node, lineagePage(await context.server.ask<Trace>('lineage', { ref }, folder), reveal));
  } catch (error) {
    fillWith(
      node,
      errorState(asServerError(error).message, () => void showLineage(node, context, folder, ref, reveal))
    );
  }
}
