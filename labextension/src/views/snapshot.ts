import { distribution } from '../comparing/distribution';
import { h, type Child } from '../kit/dom';
import { emptyState } from '../kit/empty';
import { ago, bytes, count, moment, number, short } from '../kit/format';
import { badge } from '../kit/status';
import { t } from '../kit/texts';
import { drawnView, fact, panned, part } from '../kit/view';
import type { Model } from '../model';
import type { ColumnDistribution, ListedSnapshot, SnapshotUse, SnapshotView } from '../records';

/** One snapshot. The model's `answer` is a SnapshotView; its `actions` may hold `reveal` (sends `{do, run}`). */
export default drawnView('mlops-snapshot', ['answer'], content);

function content(model: Model): HTMLElement[] {
  const view = model.get<SnapshotView | null>('answer');
  if (!view) {
    return [emptyState(t('No snapshot chosen'), t('Choose one in the list.'), [], 'data')];
  }
  const reveal = (model.get<string[] | undefined>('actions') ?? []).includes('reveal')
    ? (use: SnapshotUse) => model.send({ do: 'reveal', run: use.run })
    : null;
  return [facts(view.snapshot, reveal), note(view), distributions(view), head(view)].filter(
    (item): item is HTMLElement => item !== null
  );
}

function facts(snapshot: ListedSnapshot, reveal: ((use: SnapshotUse) => void) | null): HTMLElement {
  const shape = [
    snapshot.rows === null ? '' : t('%1 rows', count(snapshot.rows)),
    snapshot.columns === null ? '' : snapshot.columns === 1 ? t('1 column') : t('%1 columns', count(snapshot.columns)),
    bytes(snapshot.size)
  ];
  const kept = snapshot.kept ? null : badge('plain', 'info', t('digest only'), t('The values are not in the store.'));
  const where = snapshot.uses.map(use => h('li', {}, used(use, reveal)));
  const more = snapshot.used - snapshot.uses.length;
  return h(
    'dl',
    { class: 'mlops-about' },
    fact(t('Kind'), [snapshot.kind, ' ', kept]),
    fact(t('Size'), shape.filter(Boolean).join(', ')),
    fact(t('Digest'), h('span', { class: 'mlops-mono mlops-digest', title: snapshot.digest }, short(snapshot.digest))),
    snapshot.source ? fact(t('Source'), snapshot.source) : null,
    fact(t('Taken'), h('span', { title: moment(snapshot.created) }, ago(snapshot.created))),
    fact(t('Used by'), where.length ? h('ul', { class: 'mlops-uses' }, where) : t('no run')),
    more > 0 ? fact('', t('and %1 earlier runs', count(more))) : null,
    snapshot.versions.length
      ? fact(
          t('Models'),
          snapshot.versions.map(name => [badge('plain', 'models', name), ' '])
        )
      : null
  );
}

function used(use: SnapshotUse, reveal: ((use: SnapshotUse) => void) | null): Child {
  const name = use.run_name || short(use.run);
  const title = reveal
    ? h(
        'button',
        { type: 'button', class: 'mlops-link', title: t('Show %1 in Runs', name), on: { click: () => reveal(use) } },
        name
      )
    : name;
  return [
    title,
    h('span', { class: 'mlops-quiet' }, ' ', t('as %1', use.name), use.started ? `, ${ago(use.started)}` : '')
  ];
}

function note(view: SnapshotView): HTMLElement | null {
  return view.note ? h('p', { class: 'mlops-remark' }, view.note) : null;
}

/** Each column: its type, how its values lie, and what is missing. */
function distributions(view: SnapshotView): HTMLElement | null {
  if (!view.distributions.length) {
    return null;
  }
  const all = view.distributions[0].rows;
  const { rows, columns } = view.snapshot;
  const some = rows !== null && view.looked < rows && columns !== null;
  const sample = some ? h('p', { class: 'mlops-quiet' }, t('Of %1 rows, evenly spread.', count(all))) : null;
  const title = view.snapshot.columns === null || view.distributions.length > 1 ? t('Columns') : t('Values');
  return part(title, sample, h('ul', { class: 'mlops-columns' }, view.distributions.map(column)));
}

function column(found: ColumnDistribution): HTMLElement {
  const missing = found.missing
    ? t('%1 missing (%2%)', count(found.missing), number((100 * found.missing) / Math.max(1, found.rows), 2))
    : t('none missing');
  const distinct =
    found.distinct === null ? '' : found.distinct === 1 ? t('1 value') : t('%1 different', count(found.distinct));
  const told = [
    found.mean !== null && found.kind === 'number' ? t('mean %1', number(found.mean)) : '',
    distinct,
    missing
  ];
  return h(
    'li',
    { class: 'mlops-column' },
    h(
      'div',
      { class: 'mlops-column-name' },
      h('span', { class: 'mlops-column-title', title: found.column }, found.column),
      h('span', { class: 'mlops-quiet' }, found.type)
    ),
    distribution(found),
    h('div', { class: 'mlops-quiet mlops-column-facts' }, told.filter(Boolean).join(' · '))
  );
}

/** The first rows as a table. */
function head(view: SnapshotView): HTMLElement | null {
  if (!view.head.length) {
    return null;
  }
  const kinds = new Map(view.distributions.map(found => [found.column, found.kind]));
  const numeric = view.labels.map(label =>
    kinds.get(label) === 'number' || (view.snapshot.kind === 'array' && label !== 'value') ? 'mlops-number' : null
  );
  const lines = view.head.map(row =>
    h(
      'tr',
      {},
      row.map((value, at) => h('td', { class: numeric[at], title: value }, shown(value)))
    )
  );
  const caption =
    view.snapshot.kind === 'folder'
      ? t('Files')
      : view.labels.length === 1 && view.labels[0] === 'line'
        ? t('First lines')
        : t('First rows');
  const table = h(
    'table',
    { class: 'mlops-preview' },
    h('caption', { class: 'mlops-hidden' }, caption),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        view.labels.map((label, at) => h('th', { scope: 'col', class: numeric[at] }, label))
      )
    ),
    h('tbody', {}, lines)
  );
  return part(caption, panned(caption, table, 'mlops-preview-place'));
}

function shown(value: string | null): Child {
  return value === null ? h('span', { class: 'mlops-quiet' }, t('missing')) : value;
}
