import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import { LabIcon } from '@jupyterlab/ui-components';
import type { Widget } from '@lumino/widgets';

import { svgText, type IconName } from './kit/icons';

/** An icon of ours as JupyterLab's tabs and menus have them. */
export function labIcon(name: IconName): LabIcon {
  return new LabIcon({ name: `jupyter-mlops:${name}`, svgstr: svgText(name) });
}

/** Where a tab stands: Notebook's main area holds one document alone, and has room for others below it. */
const MAIN = 'main';
const BELOW = 'down';

/** Bring the tab of this name to the front; where there is none, it is made, with what `make` gives in it. */
export function showTab(
  app: JupyterFrontEnd,
  name: string,
  title: string,
  shape: IconName,
  make: () => Widget
): MainAreaWidget {
  const { shell } = app;
  const id = `mlops-${name.replace(/[^\w-]+/g, '-')}`;
  const open = [MAIN, BELOW].flatMap(area => [...shell.widgets(area)]).find(widget => widget.id === id);
  const tab = (open as MainAreaWidget | undefined) ?? new MainAreaWidget({ content: make() });
  if (!open) {
    tab.id = id;
    tab.title.label = title;
    tab.title.caption = title;
    tab.title.icon = labIcon(shape);
    tab.title.closable = true;
    tab.toolbar.hide();
    shell.add(tab, MAIN);
    if (!tab.parent) {
      tab.content.addClass('mlops-below');
      shell.add(tab, BELOW);
    }
  }
  shell.activateById(id);
  return tab;
}
