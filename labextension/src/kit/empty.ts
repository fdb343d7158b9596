import { h, type Child } from './dom';
import { icon, type IconName } from './icons';
import { t } from './texts';

/** A part that has nothing to show: what is so, and what to do next; with buttons for it where there are any. */
export function emptyState(
  title: string,
  hint: Child = '',
  actions: HTMLElement[] = [],
  shape: IconName = 'info'
): HTMLElement {
  return state('mlops-empty', shape, title, hint, actions, 'status');
}

/** What went wrong, in a sentence that says what to do, and how to try again. */
export function errorState(message: string, retry?: () => void, actions: HTMLElement[] = []): HTMLElement {
  const again = retry
    ? [h('button', { type: 'button', class: 'mlops-button', on: { click: () => retry() } }, t('Try again'))]
    : [];
  return state('mlops-error', 'warning', t('This did not work'), message, [...again, ...actions], 'alert');
}

/** Bars in the place of rows that are on their way. */
export function loadingState(rows = 4): HTMLElement {
  const bars = Array.from({ length: rows }, () => h('div', { class: 'mlops-loading-bar' }));
  return h('div', { class: 'mlops-loading', role: 'status', 'aria-label': t('Loading') }, bars);
}

function state(
  kind: string,
  shape: IconName,
  title: string,
  hint: Child,
  actions: HTMLElement[],
  role: string
): HTMLElement {
  const row = actions.length ? h('div', { class: 'mlops-actions' }, actions) : null;
  const words = h('div', { class: 'mlops-state-title' }, title);
  return h(
    'div',
    { class: `mlops-state ${kind}`, role },
    icon(shape),
    words,
    h('div', { class: 'mlops-state-hint' }, hint),
    row
  );
}
