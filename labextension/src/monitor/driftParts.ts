import { fillWith, h, unique } from '../kit/dom';
import { number, text } from '../kit/format';
import { icon } from '../kit/icons';
import { badge, stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import { PSI_BOUNDS, silent, type ColumnDrift } from './columns';
import { course, percent, spread } from './plots';

/** What the parts of a view keep between two drawings: the columns that are unfolded, and whether all are shown. */
export interface DriftMemory {
  unfolded: Set<string>;
  all: boolean;
}

/** The stretch of time that is shown. */
export interface Stretch {
  from: number;
  to: number;
}

const FIRST_SHOWN = 12;

/**
 * Small multiples: a card for each column, worst first, with its drift over time; a card unfolds to how its values are
 * spread.
 */
export function driftCards(columns: readonly ColumnDrift[], stretch: Stretch | null, memory: DriftMemory): HTMLElement {
  const place = h('div', { class: 'mlops-tiles' });
  const draw = (): void => {
    const shown = memory.all ? columns : columns.filter((column, index) => index < FIRST_SHOWN || column.alarming);
    const more = columns.length - shown.length;
    fillWith(
      place,
      shown.map(column => card(column, stretch, memory)),
      more > 0 &&
        h(
          'button',
          {
            type: 'button',
            class: 'mlops-link mlops-tile-more',
            on: {
              click: () => {
                memory.all = true;
                draw();
              }
            }
          },
          t('Show %1 more columns, none of which drifted', number(more))
        )
    );
  };
  draw();
  return place;
}

/** What became of all columns, in a sentence. */
export function driftSentence(columns: readonly ColumnDrift[]): string {
  const drifted = columns.filter(column => column.alarming).length;
  const unknown = columns.filter(column => !column.alarming && column.drift.verdict !== 'none').length;
  const told = drifted
    ? t('%1 of %2 columns drifted.', drifted, columns.length)
    : unknown === columns.length
      ? t('Too little data to tell whether a column drifted.')
      : t('None of %1 columns drifted.', columns.length);
  const rest = t('Of %1 there is too little data to tell.', unknown);
  return unknown && unknown < columns.length ? `${told} ${rest}` : told;
}

function card(column: ColumnDrift, stretch: Stretch | null, memory: DriftMemory): HTMLElement {
  const { drift } = column;
  const id = unique('mlops-column');
  const body = h('div', { class: 'mlops-tile-detail', id, hidden: true });
  const arrow = icon('down');
  const button = h(
    'button',
    {
      type: 'button',
      class: 'mlops-tile-head',
      'aria-expanded': 'false',
      'aria-controls': id,
      on: { click: () => toggle() }
    },
    h('span', { class: 'mlops-tile-name', title: drift.column }, drift.column),
    verdictBadge(column),
    h(
      'span',
      { class: 'mlops-number', title: t('Population stability index: how far from the reference') },
      psiText(drift.psi)
    ),
    arrow
  );
  const kind = column.alarming ? ' mlops-tile-alarming' : '';
  const element = h(
    'div',
    { class: `mlops-tile${kind}`, data: { column: drift.column } },
    button,
    graph(column, stretch),
    body
  );
  const show = (open: boolean): void => {
    element.classList.toggle('mlops-tile-unfolded', open);
    button.setAttribute('aria-expanded', String(open));
    body.hidden = !open;
    fillWith(body, open && detail(column));
  };
  const toggle = (): void => {
    const open = !memory.unfolded.has(drift.column);
    if (open) {
      memory.unfolded.add(drift.column);
    } else {
      memory.unfolded.delete(drift.column);
    }
    show(open);
  };
  show(memory.unfolded.has(drift.column));
  return element;
}

function verdictBadge({ drift }: ColumnDrift): HTMLElement {
  if (silent(drift)) {
    return badge('warn', 'warning', t('silent'), drift.why);
  }
  return drift.verdict === 'none' ? badge('good', 'check', t('no drift')) : stateBadge(drift.verdict, drift.why);
}

function graph(column: ColumnDrift, stretch: Stretch | null): HTMLElement | null {
  if (!stretch || !column.psi.length) {
    return null;
  }
  const title = t('Drift of %1 over time, as the population stability index', column.drift.column);
  const levels = [
    { value: PSI_BOUNDS[0], name: t('below is a small difference') },
    { value: PSI_BOUNDS[1], name: t('above is a large difference') }
  ];
  return h('div', { class: 'mlops-tile-graph' }, course(column.psi, { title, ...stretch, levels, least: 0 }));
}

function detail(column: ColumnDrift): HTMLElement {
  const { drift, shares } = column;
  const legend = h(
    'p',
    { class: 'mlops-tile-legend mlops-quiet' },
    h('span', { class: 'mlops-tile-key mlops-tile-key-before' }),
    t('reference'),
    h('span', { class: 'mlops-tile-key mlops-tile-key-now' }),
    t('now')
  );
  return h(
    'div',
    {},
    drift.why && h('p', { class: 'mlops-why' }, drift.why),
    shares && [
      legend,
      h(
        'div',
        { class: 'mlops-tile-graph' },
        spread(shares, t('Values of %1, in the reference and now', drift.column))
      )
    ],
    facts(column)
  );
}

function facts({ drift }: ColumnDrift): HTMLElement {
  const rows: [string, string][] = [
    [t('Rows, reference and now'), drift.rows.map(count => number(count)).join(' → ')],
    [t('Test'), drift.method],
    [
      t('p-value, held against'),
      drift.p_value === null ? '' : `${number(drift.p_value, 2)} / ${number(drift.threshold, 2)}`
    ],
    [t('Distance, in standard deviations'), number(drift.wasserstein, 3)],
    [
      t('Missing, before and now'),
      drift.missing.some(share => share > 0) ? drift.missing.map(percent).join(' → ') : ''
    ],
    [t('New categories'), drift.new.slice(0, 8).map(item => text(item, 40)).join(', ')],
    [t('Beyond the range of the reference'), drift.outside ? percent(drift.outside) : '']
  ];
  const told = rows.filter(([, value]) => value !== '');
  return h('dl', { class: 'mlops-tile-facts' }, told.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

function psiText(psi: number | null): string {
  return typeof psi === 'number' ? t('PSI %1', psi.toFixed(psi < 10 ? 2 : 0)) : '';
}
