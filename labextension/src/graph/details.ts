import { button, h, type Child } from '../kit/dom';
import { bytes, number, seconds } from '../kit/format';
import { badge } from '../kit/status';
import { t } from '../kit/texts';
import type { StepPlan, StepRun } from '../records';
import { elapsed, headline, lookOf, plain } from './steps';

/** What can be done with a step: what is sent, and what its button says. */
const ACTIONS: Record<string, string> = {
  logs: 'Log',
  notebook: 'Output notebook',
  source: 'Open its code',
  from: 'Run from here',
  only: 'Run only this',
  force: 'Run again, forced'
};
const OF_A_RUN = new Set(['logs', 'notebook']);

/** The actions that make sense for a step as it stands, each with its words. */
export function actionsOf(allowed: string[], run: StepRun | undefined): [string, string][] {
  const known = allowed.filter(name => ACTIONS[name] && (!OF_A_RUN.has(name) || wrote(run)));
  return known.map(name => [name, t(ACTIONS[name])]);
}

/** What is known of one step, and the buttons for what can be done with it. */
export function details(
  name: string,
  run: StepRun | undefined,
  plan: StepPlan | undefined,
  allowed: string[],
  act: (action: string) => void
): HTMLElement {
  const look = lookOf(run, plan);
  const why = plan ? plan.why : (run?.why ?? []);
  const buttons = actionsOf(allowed, run).map(([action, words]) => button(words, () => act(action)));
  return h(
    'section',
    { class: 'mlops-step', 'aria-label': t('Step %1', name) },
    h(
      'div',
      { class: 'mlops-step-head' },
      h('strong', { title: name }, name),
      badge(look.tone, look.shape, look.words)
    ),
    run && !plan && h('div', { class: 'mlops-step-facts mlops-quiet' }, facts(run).join(' · ')),
    why.length > 0 &&
      h(
        'ul',
        { class: 'mlops-step-why' },
        why.map(sentence => h('li', {}, sentence))
      ),
    run && !plan && run.error && failure(run),
    run && !plan && metrics(run),
    buttons.length > 0 && h('div', { class: 'mlops-actions' }, buttons)
  );
}

function wrote(run: StepRun | undefined): boolean {
  return run !== undefined && ['running', 'retrying', 'done', 'cached', 'failed', 'cancelled'].includes(run.state);
}

function facts(run: StepRun): string[] {
  const cell = run.state === 'done' ? run.cells : run.cell;
  return [
    run.cells ? t('cell %1 of %2', cell, run.cells) : '',
    run.state === 'cached' ? '' : seconds(elapsed(run)),
    run.attempts > 1 ? t('attempt %1', run.attempts) : '',
    run.memory ? bytes(run.memory) : ''
  ].filter(Boolean);
}

function failure(run: StepRun): Child {
  const text = plain(run.error).trim();
  const whole = [
    run.source && h('pre', { class: 'mlops-code', tabindex: 0 }, run.source),
    h('pre', { class: 'mlops-code', tabindex: 0 }, text)
  ];
  const more = run.source || text.includes('\n');
  return [
    h('div', { class: 'mlops-step-error', role: 'alert' }, headline(run.error)),
    more &&
      h('details', {}, h('summary', {}, run.cell ? t('Cell %1 and its error', run.cell) : t('The whole error')), whole)
  ];
}

function metrics(run: StepRun): Child {
  const found = Object.entries(run.metrics).slice(0, 12);
  const rows = found.map(([name, value]) => [h('dt', { title: name }, name), h('dd', {}, number(value))]);
  return found.length > 0 && h('dl', { class: 'mlops-step-metrics' }, rows);
}
