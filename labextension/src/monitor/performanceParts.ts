import { h, type Child } from '../kit/dom';
import { number, text } from '../kit/format';
import { t } from '../kit/texts';
import type { Monitoring, Performance } from '../records';
import { finite, metricSeries, type Reading } from './columns';
import type { Stretch } from './driftParts';
import { course } from './plots';

/** A card for each metric: its value with its confidence, what it was on the test data, and its course. */
export function performanceCards(found: Monitoring, stretch: Stretch): HTMLElement {
  const series = metricSeries(found.series);
  const metrics = Object.entries(found.performance);
  return h(
    'div',
    { class: 'mlops-tiles' },
    metrics.map(([name, item]) => metricCard(name, item, series[name] ?? [], stretch))
  );
}

function metricCard(
  name: string,
  item: Performance & { why?: string },
  readings: readonly Reading[],
  stretch: Stretch
): HTMLElement {
  const value = finite(item.value);
  const before = finite(item.reference);
  const interval = item.interval ?? null;
  const ends = interval && `${number(interval[0], 3)} – ${number(interval[1], 3)}`;
  const sure = ends && h('span', { class: 'mlops-quiet', title: t('95% confidence') }, ends);
  return h(
    'div',
    { class: 'mlops-tile', data: { metric: name } },
    h(
      'div',
      { class: 'mlops-tile-head' },
      h('span', { class: 'mlops-tile-name', title: name }, name),
      h('strong', { class: 'mlops-number' }, value === null ? t('failed') : number(value, 3)),
      sure
    ),
    h(
      'div',
      { class: 'mlops-tile-line mlops-quiet' },
      before === null ? item.why : t('%1 on the test data', number(before, 3))
    ),
    readings.length > 0 &&
      h(
        'div',
        { class: 'mlops-tile-graph' },
        course(readings, {
          title: t('%1 over time', name),
          ...stretch,
          levels: before === null ? [] : [{ value: before, name: t('on the test data') }],
          interval,
          value,
          tall: true
        })
      )
  );
}

/** The metric by slice and group; nothing where there are none. */
export function groupsTable(found: Monitoring): Child {
  if (!found.slices.length) {
    return null;
  }
  const rows = found.slices.map(item => {
    const value = finite(item.value);
    const interval = item.interval as [number, number] | null;
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, `${text(item.column)} = ${text(item.group, 40)}`),
      h('td', { class: 'mlops-number' }, value === null ? text(item.why) : number(value, 3)),
      h(
        'td',
        { class: 'mlops-number mlops-quiet' },
        interval ? `${number(interval[0], 3)} – ${number(interval[1], 3)}` : ''
      ),
      h('td', { class: 'mlops-number mlops-quiet' }, number(item.rows))
    );
  });
  const names = [t('Group'), text(found.slices[0].metric), t('95% interval'), t('Rows')];
  const heads = names.map((name, index) => h('th', { scope: 'col', class: index ? 'mlops-number' : null }, name));
  return h(
    'details',
    { class: 'mlops-groups' },
    h('summary', {}, t('%1 by group', text(found.slices[0].metric))),
    h(
      'div',
      { class: 'mlops-groups-scroll' },
      h('table', { class: 'mlops-groups-table' }, h('thead', {}, h('tr', {}, heads)), h('tbody', {}, rows))
    )
  );
}
