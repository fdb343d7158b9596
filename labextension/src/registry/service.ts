import { lineChart, type Point } from '../kit/chart';
import { h, type Child } from '../kit/dom';
import { ago, number, seconds } from '../kit/format';
import type { IconName } from '../kit/icons';
import { badge, type Tone } from '../kit/status';
import { t } from '../kit/texts';
import type { ServiceState } from '../records';

const STATES: Record<string, [Tone, IconName]> = {
  ready: ['good', 'check'],
  'not ready': ['warn', 'warning'],
  silent: ['bad', 'close'],
  ended: ['plain', 'stop']
};

/** A service: its state, the version that answers, and its traffic and latency in the last half hour. */
export function serviceCard(service: ServiceState): HTMLElement {
  const [tone, shape] = STATES[service.state] ?? ['plain', 'info'];
  const served = service.versions.map(([role, version]) =>
    role === 'champion' ? `v${version}` : `${role} v${version}`
  );
  return h(
    'section',
    { class: 'mlops-service', 'aria-label': t('Service of %1', service.name), data: { state: service.state } },
    h(
      'div',
      { class: 'mlops-service-head' },
      badge(tone, shape, t(service.state)),
      served.length ? h('span', {}, t('serves %1', served.join(', '))) : null,
      service.since ? h('span', { class: 'mlops-quiet' }, t('started %1', ago(service.since))) : null
    ),
    service.url && h('div', { class: 'mlops-service-url mlops-mono', title: service.asked }, service.url),
    figures(service),
    charts(service),
    service.notes.map(note => h('p', { class: 'mlops-quiet' }, note))
  );
}

function figures(service: ServiceState): Child {
  const shown: [string, string][] = [
    [t('req/s'), number(service.requests_per_second, 3)],
    [t('p50'), seconds(service.p50) || '–'],
    [t('p99'), seconds(service.p99) || '–'],
    [t('errors'), `${number(service.error_rate * 100, 2)} %`]
  ];
  const hint = t('The last five minutes: %1 requests', service.requests);
  return h(
    'dl',
    { class: 'mlops-service-figures', title: hint },
    shown.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))
  );
}

function charts(service: ServiceState): Child {
  const begun = service.series.findIndex(point => (point[1] ?? 0) > 0);
  const shown = service.series.slice(Math.max(0, begun - 1));
  const end = shown.length ? (shown[shown.length - 1][0] ?? 0) : 0;
  const course = (place: number, times: number): Point[] =>
    shown.map(point => [((point[0] ?? 0) - end) / 60, point[place] === null ? NaN : (point[place] as number) * times]);
  if (!service.last) {
    return h('p', { class: 'mlops-quiet' }, t('Nothing was asked of it in the last half hour.'));
  }
  const size = { width: 280, height: 84 };
  const traffic = lineChart([{ name: t('requests/s'), points: course(1, 1) }], {
    ...size,
    title: t('Requests a second, by minutes before now')
  });
  const latency = lineChart(
    [
      { name: 'p50', points: course(2, 1000) },
      { name: 'p99', points: course(3, 1000) }
    ],
    { ...size, title: t('Latency in milliseconds, p50 and p99, by minutes before now') }
  );
  return [
    h('figure', { class: 'mlops-service-chart' }, h('figcaption', {}, t('Requests/s, by minutes before now')), traffic),
    h(
      'figure',
      { class: 'mlops-service-chart' },
      h('figcaption', {}, t('Latency in ms: p50, and p99 (dashed)')),
      latency
    )
  ];
}
