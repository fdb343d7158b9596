import { codeSection, curvesSection, dataSection, factsSection, type Differ } from '../comparing/parts';
import { parallelCoordinates } from '../comparing/parallel';
import { axesOf, MARKS } from '../comparing/runs';
import { h } from '../kit/dom';
import { emptyState } from '../kit/empty';
import { ago, seconds, short } from '../kit/format';
import { stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import { drawnView, part } from '../kit/view';
import type { Model } from '../model';
import type { Comparison, Run } from '../records';

/**
 * Runs side by side. The model's `answer` is a Comparison; its `actions` may hold `reveal` (sends `{do, run}`) and
 * `diff` (sends `{do, a, b, names}`: two digests, and what they are called).
 */
export default drawnView('mlops-comparison', ['answer'], content);

function content(model: Model): HTMLElement[] {
  const answer = model.get<Comparison | null>('answer');
  if (!answer || answer.runs.length < 2) {
    return [emptyState(t('Nothing to compare'), t('Choose two runs or more, then Compare.'), [], 'compare')];
  }
  const offered = model.get<string[] | undefined>('actions') ?? [];
  const reveal = offered.includes('reveal') ? (run: Run) => model.send({ do: 'reveal', run: run.id }) : null;
  const diff: Differ | null = offered.includes('diff')
    ? (a, b, names) => model.send({ do: 'diff', a, b, names })
    : null;
  const cards = answer.runs.map((run, index) => card(run, index, reveal));
  const axes = axesOf(answer);
  const parallel = axes.length > 1 ? parallelCoordinates(answer.runs, axes, chosen => dim(cards, chosen)) : null;
  return [
    h('ul', { class: 'mlops-compared', 'aria-label': t('Compared runs') }, cards),
    factsSection('metrics', t('Metrics'), answer),
    factsSection('params', t('Parameters'), answer),
    parallel && part(t('Parallel coordinates'), parallel),
    curvesSection(answer.runs),
    codeSection(answer),
    dataSection(answer, diff)
  ].filter((item): item is HTMLElement => item !== null);
}

/** A run's letter, name and state; pressed, it is shown where all runs are listed. */
function card(run: Run, index: number, reveal: ((run: Run) => void) | null): HTMLElement {
  const name = run.name || short(run.id);
  const told = [short(run.id), run.model?.class.split('.').pop(), seconds(run.seconds), ago(run.started)]
    .filter(Boolean)
    .join(' · ');
  const label = t('Show %1 in Runs', name);
  const title = reveal
    ? h('button', { type: 'button', class: 'mlops-link', title: label, on: { click: () => reveal(run) } }, name)
    : h('span', {}, name);
  return h(
    'li',
    { class: `mlops-compared-run mlops-series-${index % 8}` },
    h('span', { class: 'mlops-mark' }, MARKS(index)),
    h('div', { class: 'mlops-compared-words' }, title, h('div', { class: 'mlops-quiet' }, told)),
    stateBadge(run.status),
    run.replay ? stateBadge(run.replay, t('Verdict of the last replay')) : null
  );
}

/** Fade the runs that lie outside what was chosen on the axes. */
function dim(cards: HTMLElement[], chosen: readonly boolean[]): void {
  cards.forEach((element, index) => element.classList.toggle('mlops-dim', !chosen[index]));
}
