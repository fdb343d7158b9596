import { button, h, type Child } from '../kit/dom';
import { number } from '../kit/format';
import { stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import type { Gate, PipelineRun, Plan, ReleaseOutcome } from '../records';

const RELEASED: Record<string, string> = {
  promoted: '%1 version %2 was released as %3',
  registered: '%1 version %2 was registered',
  waiting: '%1 version %2 waits for an approval',
  refused: '%1 was not released',
  failed: '%1 could not be released',
  passed: 'The model passed its gates',
  unchecked: 'The model was not checked'
};

/** What a run says at its end beyond the states of its steps: gates, release, and how to go on. */
export function outcome(run: PipelineRun): HTMLElement[] {
  return [
    run.gates.length
      ? h(
          'ul',
          { class: 'mlops-gates', 'aria-label': t('Gates') },
          run.gates.map(gate => condition(gate))
        )
      : null,
    run.release ? released(run.release) : null,
    ...run.notes.map(words => h('p', { class: 'mlops-note' }, words))
  ].filter(part => part !== null);
}

/** What a run would do, and why; `close` goes back to the states of the last run. */
export function planned(plan: Plan, close: () => void): HTMLElement {
  const [runs, after] = ['run', 'after'].map(action => plan.steps.filter(step => step.action === action).length);
  const rest = after ? t(', %1 more if what they take has changed', after) : '';
  const words = runs
    ? t('%1 of %2 steps would run%3. Nothing was run.', runs, plan.steps.length, rest)
    : t('Every step is done already.');
  const told = plan.steps.filter(step => step.why.length && step.action !== 'skip');
  const why = told.map(step => h('li', {}, h('strong', {}, step.step), ': ', step.why.join('; ')));
  const back = button(t('Show the states again'), close);
  return h('div', { class: 'mlops-plan' }, h('p', {}, words), why.length > 0 && h('ul', {}, why), back);
}

function condition(gate: Gate): HTMLElement {
  const value: Child = gate.value === null ? null : h('span', { class: 'mlops-number' }, number(gate.value));
  return h(
    'li',
    {},
    stateBadge(gate.state),
    h('span', {}, gate.name),
    value,
    gate.why && h('div', { class: 'mlops-quiet' }, gate.why)
  );
}

function released(release: ReleaseOutcome): HTMLElement {
  const words = t(
    RELEASED[release.state] ?? release.state,
    release.name ?? t('The model'),
    release.version ?? '',
    release.alias ?? ''
  );
  return h('p', { class: 'mlops-note' }, [words, release.why].filter(Boolean).join(': '));
}
