import { h, s, type Child } from '../kit/dom';
import { emptyState } from '../kit/empty';
import { count, number, seconds, text } from '../kit/format';
import { icon, type IconName } from '../kit/icons';
import { stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import { drawnView } from '../kit/view';
import type { Check, Gate } from '../records';

/** What the gates said of a model: the verdict, then each gate with its value, its bound and why. */
export default drawnView('mlops-gates', ['check', 'busy'], model => {
  const check = model.get<Check | null | undefined>('check');
  const busy = model.get<string | undefined>('busy') ?? '';
  const line = busy ? h('div', { class: 'mlops-gates-busy', role: 'status' }, busy) : null;
  const hint = t('A check holds the model against the gates that the project sets for it.');
  const none = !check && !busy ? emptyState(t('The gates were not asked yet'), hint, [], 'shield') : null;
  return [line, check ? gates(check) : none];
});

/** A check as a heading and a list of its gates. */
export function gates(check: Check): HTMLElement {
  const facts = [
    gatesPassed(check),
    check.against ? t('against version %1', check.against) : '',
    check.rows ? t('%1 rows of test data', count(check.rows)) : '',
    seconds(check.seconds)
  ];
  const none = t('No gate is set: `gates` in [tool.mlops.models.NAME] of pyproject.toml sets some.');
  return h(
    'div',
    { class: 'mlops-gates-check' },
    h(
      'div',
      { class: 'mlops-gates-head' },
      stateBadge(check.verdict),
      h('span', {}, facts.filter(Boolean).join(' · '))
    ),
    check.gates.length ? h('ul', { class: 'mlops-gates-list', role: 'list' }, check.gates.map(gate)) : h('p', {}, none),
    (check.gates.length ? check.notes : []).map(note => h('p', { class: 'mlops-gates-note' }, note))
  );
}

/** How many of the gates of a check passed, in words. */
export function gatesPassed(check: Check): string {
  const passed = check.gates.filter(item => item.state === 'passed').length;
  return check.gates.length ? t('%1 of %2 gates passed', passed, check.gates.length) : t('no gates');
}

const SHAPES: Record<string, IconName> = { passed: 'check', failed: 'close' };

function gate(item: Gate): HTMLElement {
  const known = item.value !== null && item.value !== undefined;
  const unit = typeof item.details?.unit === 'string' ? ` ${item.details.unit}` : '';
  return h(
    'li',
    { class: `mlops-gate mlops-gate-${item.state}`, data: { gate: item.name } },
    h('span', { class: 'mlops-gate-mark' }, icon(SHAPES[item.state] ?? 'info', t(item.state))),
    h(
      'div',
      { class: 'mlops-gate-body' },
      h(
        'div',
        { class: 'mlops-gate-line' },
        h('span', { class: 'mlops-gate-name' }, item.name),
        known && h('span', { class: 'mlops-gate-value', title: t('measured') }, number(item.value) + unit)
      ),
      known && item.bound !== null && item.bound !== undefined && meter(item.value as number, item.bound),
      h('div', { class: 'mlops-gate-why' }, h('b', {}, t(item.state)), item.why ? `: ${item.why}` : ''),
      details(item.details ?? {})
    )
  );
}

/** The value as a bar and the bound as a mark across it. */
function meter(value: number, bound: number): Child {
  const top = Math.max(value, bound, 0);
  const low = Math.min(value, bound, 0);
  const full = top <= 1 && low >= 0 ? 1 : (top - low) * 1.15;
  if (!Number.isFinite(full) || full <= 0) {
    return null;
  }
  const at = (place: number): number => Math.round(((place - low) / full) * 1000) / 10;
  const label = t('%1, bound %2', number(value), number(bound));
  const from = Math.min(at(0), at(value));
  return h(
    'div',
    { class: 'mlops-gate-measure' },
    s(
      'svg',
      {
        class: 'mlops-gate-meter',
        viewBox: '0 0 100 10',
        preserveAspectRatio: 'none',
        role: 'img',
        'aria-label': label
      },
      s('title', {}, label),
      s('rect', { class: 'mlops-gate-ground', x: 0, y: 3, width: 100, height: 4 }),
      s('rect', {
        class: 'mlops-gate-bar',
        x: from,
        y: 3,
        width: Math.max(0.5, Math.abs(at(value) - at(0))),
        height: 4
      }),
      s('rect', { class: 'mlops-gate-bound', x: Math.min(99, at(bound)), y: 0, width: 1, height: 10 })
    ),
    h('span', { class: 'mlops-gate-bound-text' }, t('bound %1', number(bound)))
  );
}

/** What is behind a gate: tables of groups, slices and findings, folded away. */
function details(told: Record<string, unknown>): Child {
  const tables = Object.entries(told).flatMap(([name, value]) => table(name, value) ?? []);
  return tables.length ? h('details', { class: 'mlops-gate-details' }, h('summary', {}, t('Details')), tables) : null;
}

function table(name: string, value: unknown): HTMLElement | null {
  const named = !Array.isArray(value);
  const rows: [string, Record<string, unknown>][] = Object.entries((value ?? {}) as object).filter(
    ([, row]) => typeof row === 'object' && row !== null && !Array.isArray(row)
  );
  if (typeof value !== 'object' || !rows.length) {
    return null;
  }
  const columns = [...new Set(rows.flatMap(([, row]) => Object.keys(row)))].slice(0, 6);
  const head = [...(named ? [''] : []), ...columns].map(column => h('th', { scope: 'col' }, column.replace(/_/g, ' ')));
  const body = rows.slice(0, 20).map(([key, row]) =>
    h(
      'tr',
      {},
      named && h('th', { scope: 'row' }, key),
      columns.map(column =>
        h('td', { class: typeof row[column] === 'number' ? 'mlops-number' : '' }, text(row[column], 60))
      )
    )
  );
  return h(
    'div',
    { class: 'mlops-gate-table', tabindex: 0, role: 'group', 'aria-label': name.replace(/_/g, ' ') },
    h('table', {}, h('thead', {}, h('tr', {}, head)), h('tbody', {}, body))
  );
}
