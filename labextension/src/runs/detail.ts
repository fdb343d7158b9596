import { lineChart } from '../kit/chart';
import { button, h, type Child } from '../kit/dom';
import { bytes, count, moment, number, seconds, short, text } from '../kit/format';
import { iconButton, type IconName } from '../kit/icons';
import { ProgressLine } from '../kit/progress';
import { stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import type { Action } from '../model';
import type { Run } from '../records';
import { trendCell } from './columns';

/** Long work on a run that goes on: the verb, and what it does now. */
export interface Work {
  verb: string;
  words: string;
}

/** How long work on a run ended, in a sentence. */
export interface Outcome {
  state: string;
  words: string;
}

/** What is shown of a run beside its record. */
export interface Around {
  actions: readonly string[];
  work?: Work;
  outcome?: Outcome;
  send(action: Action): void;
}

const ACTIONS: [string, IconName, string][] = [
  ['reveal', 'cell', 'Show the cell that made it'],
  ['replay', 'replay', 'Replay: run it again and compare'],
  ['slice', 'slice', 'Slice: the least code that gives its results'],
  ['step', 'step', 'Make a step: a clean notebook'],
  ['mlflow', 'open', 'Open in MLflow'],
  ['copy', 'copy', 'Copy the id'],
  ['tag', 'tag', 'Tag'],
  ['note', 'note', 'Note'],
  ['register', 'models', 'Register its model'],
  ['delete', 'trash', 'Delete']
];

/** What unfolds below a run: what can be done with it, and all that it holds. */
export function detailOf(run: Run, around: Around): HTMLElement {
  return h(
    'div',
    { class: 'mlops-run-detail' },
    toolbar(run, around),
    around.work && progress(run, around, around.work),
    around.outcome &&
      h('div', { class: 'mlops-outcome', role: 'status' }, stateBadge(around.outcome.state), around.outcome.words),
    facts(run),
    run.note && h('p', { class: 'mlops-run-note' }, run.note),
    run.error && h('p', { class: 'mlops-run-error' }, run.error),
    metrics(run),
    values(
      t('Parameters'),
      Object.entries(run.params).map(([name, value]) => [name, text(value)])
    ),
    inputs(run, around),
    values(t('Tags'), Object.entries(run.tags)),
    run.skipped.length > 0 &&
      part(
        t('Left out'),
        h(
          'ul',
          {},
          run.skipped.map(told => h('li', {}, told))
        )
      )
  );
}

function toolbar(run: Run, around: Around): Child {
  const offered = ACTIONS.filter(([name]) => around.actions.includes(name) && applies(name, run));
  const row = offered.map(([name, shape, label]) =>
    iconButton(shape, t(label), () => around.send({ do: name, run: run.id }), {
      data: { do: name },
      disabled: around.work !== undefined && ['replay', 'slice', 'step'].includes(name)
    })
  );
  return (
    row.length > 0 && h('div', { class: 'mlops-actions', role: 'toolbar', 'aria-label': t('Run %1', run.name) }, row)
  );
}

/** Whether an action means anything for a run: what another tool made has no cells, and not every run has a model. */
function applies(name: string, run: Run): boolean {
  switch (name) {
    case 'reveal':
      return run.cell !== '' && run.notebook !== '';
    case 'replay':
    case 'slice':
    case 'step':
      return run.cells.length > 0;
    case 'register':
      return run.model !== null;
    default:
      return true;
  }
}

function progress(run: Run, around: Around, work: Work): HTMLElement {
  return new ProgressLine(work.words, () => around.send({ do: 'cancel', run: run.id })).element;
}

function facts(run: Run): HTMLElement {
  const told = [moment(run.started), seconds(run.seconds), run.model?.class, run.notebook].filter(Boolean).join(' · ');
  return h(
    'div',
    { class: 'mlops-run-facts' },
    stateBadge(run.status),
    run.replay && stateBadge(run.replay, t('What its last replay gave')),
    h('span', { class: 'mlops-quiet' }, told),
    h('span', { class: 'mlops-quiet mlops-mono', title: run.id }, short(run.id))
  );
}

function metrics(run: Run): Child {
  const names = Object.keys(run.metrics);
  if (!names.length) {
    return null;
  }
  const rows = names.map(name => {
    const trend = (run.series[name]?.length ?? 0) > 1 ? trendCell(run, name, [0, 0], 64) : null;
    return h(
      'div',
      { class: 'mlops-value' },
      h('dt', { title: name }, name),
      h('dd', {}, trend, ' ', number(run.metrics[name], 6))
    );
  });
  const courses = names.filter(name => (run.series[name]?.length ?? 0) > 1).slice(0, 8);
  const lines = courses.map(name => ({
    name,
    points: run.series[name].map(([step, value]) => [step, Number(value)] as const)
  }));
  const chart =
    lines.length === 1 &&
    lineChart(lines, { title: t('%1 by step', lines[0].name), x: t('step'), width: 300, height: 120 });
  return part(t('Metrics'), h('dl', { class: 'mlops-values' }, rows), chart);
}

function inputs(run: Run, around: Around): Child {
  const rows = run.inputs.map(item => {
    const digest = item.digest ?? '';
    const size =
      item.rows !== null && item.rows !== undefined ? t('%1 rows', count(item.rows)) : bytes(item.size || null);
    const open = digest && around.actions.includes('snapshot');
    const name = open
      ? button(item.name || short(digest), () => around.send({ do: 'snapshot', digest }), {
          class: 'mlops-link',
          title: digest
        })
      : h('span', { title: digest || null }, item.name || short(digest));
    const kept = item.kept === false ? t('not kept') : '';
    const told = [item.kind, size, kept].filter(Boolean).join(', ');
    return h('div', { class: 'mlops-value' }, h('dt', {}, name), h('dd', { class: 'mlops-quiet' }, told));
  });
  return rows.length > 0 && part(t('Data'), h('dl', { class: 'mlops-values' }, rows));
}

function values(title: string, entries: readonly (readonly [string, string])[]): Child {
  const rows = entries.map(([name, value]) =>
    h('div', { class: 'mlops-value' }, h('dt', { title: name }, name), h('dd', { title: value }, value))
  );
  return rows.length > 0 && part(title, h('dl', { class: 'mlops-values' }, rows));
}

function part(title: string, ...children: Child[]): HTMLElement {
  return h('section', {}, h('h4', {}, title), children);
}
