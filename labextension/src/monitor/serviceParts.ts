import { h, type Child } from '../kit/dom';
import { bytes, number, seconds } from '../kit/format';
import { t } from '../kit/texts';
import type { Monitoring } from '../records';
import { finite, type Reading } from './columns';
import type { Stretch } from './driftParts';
import { course, percent } from './plots';

/** The rate, latency and failures of the services over time; nothing where no service ran. */
export function serviceParts(found: Monitoring, stretch: Stretch): Child {
  const service = found.service as Record<string, any>;
  if (!service.requests) {
    return null;
  }
  const points: (number | null)[][] = service.series ?? [];
  const shown: [string, number, string][] = [
    [t('Requests per second'), 1, number(service.requests_per_second, 3)],
    [t('Latency, 95%'), 2, seconds(finite(service.latency?.p95))],
    [t('Failures'), 3, percent(finite(service.error_rate) ?? 0)]
  ];
  const told = t(
    '%1 requests, %2 of them failed, %3 were refused; %4 of memory',
    number(service.requests),
    number(service.failures),
    number(service.refused),
    bytes(finite(service.memory))
  );
  return [
    h('h3', { class: 'mlops-monitor-heading' }, t('Service')),
    h('p', { class: 'mlops-monitor-sentence mlops-quiet' }, told),
    h(
      'div',
      { class: 'mlops-tiles' },
      shown.map(([name, place, value]) => {
        const readings = points.flatMap<Reading>(point => {
          const read = finite(point[place]);
          return read === null ? [] : [{ at: point[0] as number, value: read, rows: 0 }];
        });
        return h(
          'div',
          { class: 'mlops-tile' },
          h(
            'div',
            { class: 'mlops-tile-head' },
            h('span', { class: 'mlops-tile-name' }, name),
            h('strong', { class: 'mlops-number' }, value)
          ),
          readings.length > 0 &&
            h(
              'div',
              { class: 'mlops-tile-graph' },
              course(readings, { title: t('%1 over time', name), ...stretch, least: 0 })
            )
        );
      })
    )
  ];
}

/** What the machine does now. */
export function machineFacts(found: Monitoring): Child {
  const machine = (found.service as Record<string, any>).machine;
  if (!machine) {
    return null;
  }
  const shares: [string, number | null, string][] = [
    [t('Load'), share(machine.load, machine.cpus), t('%1 of %2 processors', number(machine.load, 2), machine.cpus)],
    [t('Memory'), finite(machine.memory), ''],
    [t('Disk'), finite(machine.disk), '']
  ];
  return [
    h('h3', { class: 'mlops-monitor-heading' }, t('Machine')),
    h(
      'div',
      { class: 'mlops-meters' },
      shares.map(([name, used, title]) => {
        const told = used === null ? '' : percent(used);
        const meter = h('meter', { min: 0, max: 1, low: 0.8, high: 0.95, optimum: 0, 'aria-label': name, title });
        meter.value = Math.min(1, used ?? 0);
        return h(
          'div',
          { class: 'mlops-meter' },
          h('span', {}, name),
          meter,
          h('span', { class: 'mlops-number' }, told)
        );
      })
    )
  ];
}

function share(value: unknown, of: unknown): number | null {
  const [part, whole] = [finite(value), finite(of)];
  return part === null || !whole ? null : part / whole;
}
