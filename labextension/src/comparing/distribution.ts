import { histogram, type Bin } from '../kit/chart';
import { h } from '../kit/dom';
import { count, date, moment, number, text } from '../kit/format';
import { t } from '../kit/texts';
import type { ColumnDistribution } from '../records';

const SHOWN = 5;

/** How the values of a column lie: a histogram of numbers and times, bars for the commonest of other values. */
export function distribution(found: ColumnDistribution): HTMLElement {
  if (found.counts.length) {
    return numbers(found);
  }
  if (found.top.length) {
    return commonest(found);
  }
  const words = found.rows === found.missing ? t('No values.') : t('These values cannot be ordered or counted.');
  return h('div', { class: 'mlops-quiet' }, words);
}

function numbers(found: ColumnDistribution): HTMLElement {
  const { edges, counts } = found;
  const told = found.kind === 'time' ? teller(edges[edges.length - 1] - edges[0]) : (value: number) => number(value);
  // Of whole numbers the edges lie between them.
  const half = edges.every(edge => Math.abs(edge % 1) === 0.5) ? 0.5 : 0;
  const bins: Bin[] = counts.map((many, at) => {
    const from = edges[at] + half;
    const to = edges[at + 1] - half;
    return from === to ? { from: told(from), count: many } : { from: told(from), to: told(to), count: many };
  });
  const least = told(found.least ?? edges[0]);
  const greatest = told(found.greatest ?? edges[edges.length - 1]);
  const title = t('%1: from %2 to %3', found.column, least, greatest);
  return h(
    'div',
    { class: 'mlops-distribution' },
    histogram(bins, { width: 200, height: 36, title }),
    h(
      'div',
      { class: 'mlops-distribution-ends mlops-quiet' },
      h('span', {}, least),
      least === greatest ? null : h('span', {}, greatest)
    )
  );
}

function commonest(found: ColumnDistribution): HTMLElement {
  const rest = found.top.slice(SHOWN).reduce((sum, [, many]) => sum + many, found.others);
  const shown: [string, number, string][] = found.top.slice(0, SHOWN).map(([value, many]) => [value, many, '']);
  const rows = rest ? [...shown, [t('others'), rest, 'mlops-quiet'] as [string, number, string]] : shown;
  const whole = Math.max(1, found.rows - found.missing);
  const lines = rows.map(([value, many, look]) => {
    const share = (100 * many) / whole;
    const bar = h('span', { class: 'mlops-top-bar', 'aria-hidden': 'true', style: `width: ${share.toFixed(2)}%` });
    return h(
      'li',
      { class: `mlops-top ${look}`, title: t('%1: %2 (%3%)', value, count(many), number(share, 3)) },
      h('span', { class: 'mlops-top-value' }, text(value, 60) || t('(empty text)')),
      h('span', { class: 'mlops-top-ground' }, bar),
      h('span', { class: 'mlops-top-count' }, count(many))
    );
  });
  return h('ul', { class: 'mlops-tops', 'aria-label': t('Commonest values of %1', found.column) }, lines);
}

/** How a moment is told where so many seconds are on view: with its time of day only where they are few. */
function teller(span: number): (value: number) => string {
  return span > 3 * 86400 ? date : value => (value < 86400 * 2 ? clock(value) : moment(value));
}

/** A time of day, from the seconds since midnight. */
function clock(value: number): string {
  const parts = [value / 3600, (value / 60) % 60, value % 60].map(part => String(Math.floor(part)).padStart(2, '0'));
  return parts.join(':');
}
