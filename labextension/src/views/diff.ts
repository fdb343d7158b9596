import { h, type Child } from '../kit/dom';
import { emptyState } from '../kit/empty';
import { count, number, short, text } from '../kit/format';
import type { IconName } from '../kit/icons';
import { badge, type Tone } from '../kit/status';
import { t } from '../kit/texts';
import { drawnView, fact, panned, part } from '../kit/view';
import type { ColumnChange, Diff } from '../records';

/** The difference of two snapshots. The model's `answer` is a Diff; `names` may hold what the two are called. */
export default drawnView('mlops-diff', ['answer'], model => content(model.get('answer'), model.get('names')));

const CHANGES: Record<string, [Tone, IconName, string]> = {
  added: ['good', 'add', 'added'],
  removed: ['bad', 'close', 'removed'],
  type: ['warn', 'warning', 'other type'],
  values: ['warn', 'note', 'other values']
};

const STATISTICS: readonly (readonly [key: string, name: string])[] = [
  ['type', 'type'],
  ['missing', 'missing'],
  ['unique', 'different'],
  ['min', 'least'],
  ['mean', 'mean'],
  ['max', 'greatest'],
  ['std', 'deviation'],
  ['size', 'bytes']
];

function content(diff: Diff | null | undefined, names: readonly string[] = []): HTMLElement[] {
  if (!diff) {
    return [emptyState(t('Nothing to compare'), t('Choose two snapshots, then Compare.'), [], 'compare')];
  }
  const [before, after] = diff.rows;
  const rows =
    before === after
      ? before === null
        ? ''
        : t('%1 rows', count(before))
      : t('%1 → %2 rows', size(before), size(after));
  const changed = diff.columns.filter(column => column.change !== 'same');
  const same = diff.columns.filter(column => column.change === 'same');
  return [
    h(
      'dl',
      { class: 'mlops-about' },
      fact(t('From'), named(names[0], diff.a)),
      fact(t('To'), named(names[1], diff.b)),
      fact(t('Kind'), diff.kind),
      rows ? fact(t('Rows'), rows) : null,
      fact(t('In short'), diff.identical ? badge('good', 'check', t('identical')) : diff.detail)
    ),
    ...(changed.length ? [table(changed)] : []),
    ...(same.length ? [alike(same)] : [])
  ];
}

function table(changed: readonly ColumnChange[]): HTMLElement {
  const heads = [t('Column'), t('Change'), t('Rows changed'), t('Before → after')];
  const lines = changed.map(column => {
    const [tone, shape, word] = CHANGES[column.change] ?? ['plain', 'info', column.change];
    const rows = column.changed === null ? '' : count(column.changed);
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, column.column),
      h('td', {}, badge(tone, shape, t(word))),
      h('td', { class: 'mlops-number' }, rows),
      h('td', {}, h('div', { class: 'mlops-moves' }, moves(column)))
    );
  });
  const body = h(
    'table',
    { class: 'mlops-diff-changes' },
    h('caption', { class: 'mlops-hidden' }, t('Columns that differ')),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        heads.map(head => h('th', { scope: 'col' }, head))
      )
    ),
    h('tbody', {}, lines)
  );
  return part(t('Columns that differ'), panned(t('Columns that differ'), body));
}

/** What moved of a column's statistics; of a column that came or went, all of them. */
function moves(column: ColumnChange): HTMLElement[] {
  const { before, after } = column;
  return STATISTICS.filter(([key]) => key in before || key in after)
    .filter(([key]) => before[key] !== after[key])
    .map(([key, name]) => {
      const both = key in before && key in after;
      const told = both
        ? [shown(before[key]), h('span', { 'aria-label': t('to') }, ' → '), shown(after[key])]
        : shown((key in after ? after : before)[key]);
      return h('span', { class: 'mlops-move' }, h('span', { class: 'mlops-quiet' }, `${t(name)} `), told);
    });
}

function alike(same: readonly ColumnChange[]): HTMLElement {
  const words = same.length === 1 ? t('1 column is the same') : t('%1 columns are the same', same.length);
  return h(
    'details',
    { class: 'mlops-alike' },
    h('summary', {}, words),
    h('p', {}, same.map(column => column.column).join(', '))
  );
}

function named(name: string | undefined, digest: string): Child {
  const known = h('span', { class: 'mlops-mono', title: digest }, short(digest));
  return name ? [name, ' ', known] : known;
}

function size(rows: number | null): string {
  return rows === null ? t('no') : count(rows);
}

function shown(value: unknown): string {
  return typeof value === 'number' ? number(value) : text(value, 60);
}
