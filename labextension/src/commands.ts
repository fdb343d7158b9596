import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { LabIcon } from '@jupyterlab/ui-components';

import { ICells } from './cells/notebooks';
import type { Tracking } from './cells/line';
import { svgText } from './kit/icons';
import { t } from './kit/texts';
import { IPanel } from './panel';
import { openTutorial } from './tutorial';

/** The names of our commands; the schema's menu and shortcuts name the same. */
export const COMMANDS = {
  open: 'jupyter-mlops:open',
  reveal: 'jupyter-mlops:reveal-run',
  track: 'jupyter-mlops:track',
  explain: 'jupyter-mlops:explain-cell',
  tutorial: 'jupyter-mlops:tutorial'
} as const;

const SECTIONS = ['runs', 'data', 'pipelines', 'models', 'monitor'];

/** The commands in the palette, the menu and the launcher. */
export const commands: JupyterFrontEndPlugin<void> = {
  id: '@jupyter-mlops/labextension:commands',
  description: 'Commands, menu and launcher cards of the MLOps panel.',
  autoStart: true,
  optional: [IPanel, ICells, ICommandPalette, ILauncher],
  activate: (
    app: JupyterFrontEnd,
    panel: IPanel | null,
    cells: ICells | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null
  ): void => {
    if (panel) {
      addPanel(app, panel);
    }
    if (cells) {
      addCells(app, cells);
    }
    app.commands.addCommand(COMMANDS.tutorial, {
      label: t('MLOps Tutorial'),
      caption: t('Open a notebook that shows how runs are tracked, compared and replayed'),
      icon,
      describedBy: { args: { type: 'object', properties: { cwd: { type: 'string' } } } },
      execute: ({ cwd }) =>
        openTutorial(app, String(cwd ?? panel?.context.folder ?? '')).catch(error =>
          Notification.error(t('The tutorial could not be opened: %1', String((error as Error).message)))
        )
    });
    const category = t('MLOps');
    if (palette && panel) {
      palette.addItem({ command: COMMANDS.open, category });
      SECTIONS.forEach(section => palette.addItem({ command: COMMANDS.open, category, args: { section } }));
    }
    if (palette && cells) {
      palette.addItem({ command: COMMANDS.track, category });
      palette.addItem({ command: COMMANDS.explain, category });
    }
    palette?.addItem({ command: COMMANDS.tutorial, category });
    if (panel) {
      launcher?.add({ command: COMMANDS.open, category, rank: 1 });
    }
    launcher?.add({ command: COMMANDS.tutorial, category, rank: 2 });
  }
};

function addPanel(app: JupyterFrontEnd, panel: IPanel): void {
  const titles: Record<string, string> = {
    runs: t('Show Runs'),
    data: t('Show Data'),
    pipelines: t('Show Pipelines'),
    models: t('Show Models'),
    monitor: t('Show Monitor')
  };
  app.commands.addCommand(COMMANDS.open, {
    label: args => (args.isLauncher ? t('MLOps Panel') : titles[String(args.section ?? '')] ?? t('Show MLOps Panel')),
    caption: t('Show the panel with runs, data, pipelines, models and monitoring'),
    icon: args => (args.section ? undefined : icon),
    describedBy: { args: { type: 'object', properties: { section: { type: 'string', enum: SECTIONS } } } },
    execute: ({ section }) => panel.open(String(section ?? ''))
  });
  app.commands.addCommand(COMMANDS.reveal, {
    label: t('Show a Run'),
    describedBy: { args: { type: 'object', properties: { run: { type: 'string' } }, required: ['run'] } },
    isVisible: () => false,
    execute: ({ run }) => panel.reveal(String(run ?? ''))
  });
}

function addCells(app: JupyterFrontEnd, cells: ICells): void {
  const labels: Partial<Record<Tracking, string>> = { on: t('Pause Tracking'), paused: t('Resume Tracking') };
  app.commands.addCommand(COMMANDS.track, {
    label: () => labels[cells.tracking] ?? t('Track This Notebook'),
    caption: t('Make every fit of this notebook a run, pause that, or go on'),
    describedBy: { args: { type: 'object', properties: {} } },
    isEnabled: () => ['on', 'off', 'paused'].includes(cells.tracking),
    isToggled: () => cells.tracking === 'on',
    execute: () => cells.toggle()
  });
  app.commands.addCommand(COMMANDS.explain, {
    label: t('Explain This Cell'),
    caption: t('Tell which runs the active cell made, and why its output is stale'),
    describedBy: { args: { type: 'object', properties: {} } },
    isEnabled: () => cells.tracking !== 'none',
    execute: () => {
      if (!cells.explain()) {
        const nothing = t('Of this cell there is nothing to tell: it made no run, and nothing is stale.');
        Notification.info(nothing, { autoClose: 4_000 });
      }
    }
  });
  cells.changed.connect(() => {
    app.commands.notifyCommandChanged(COMMANDS.track);
    app.commands.notifyCommandChanged(COMMANDS.explain);
  });
}

const icon = new LabIcon({ name: 'jupyter-mlops:runs', svgstr: svgText('runs') });
