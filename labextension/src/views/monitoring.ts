import { fillWith, h, type Child } from '../kit/dom';
import { emptyState } from '../kit/empty';
import { ago, moment, number } from '../kit/format';
import { icon, type IconName } from '../kit/icons';
import { badge } from '../kit/status';
import { t } from '../kit/texts';
import type { ViewProps } from '../model';
import { bySeverity, PSI_BOUNDS } from '../monitor/columns';
import { driftCards, driftSentence, type DriftMemory, type Stretch } from '../monitor/driftParts';
import { groupsTable, performanceCards } from '../monitor/performanceParts';
import { machineFacts, serviceParts } from '../monitor/serviceParts';
import type { Alert, Monitoring } from '../records';

/**
 * How a model in service does: alerts, drift of each column, performance over time, the service's health.
 *
 * Reads `monitoring` of its model, `told` (alerts that people were told of before) and `champion` (the version that
 * serves) where they are
 * there. Of `actions` it offers `retrain`.
 */
export default {
  render({ model, el }: ViewProps): () => void {
    const view = h('div', { class: 'mlops-view mlops-monitoring' });
    const memory: DriftMemory = { unfolded: new Set(), all: false };
    const draw = (): void => {
      const found = model.get<Monitoring | undefined>('monitoring');
      const told = model.get<Alert[] | undefined>('told') ?? [];
      const champion = model.get<number | null | undefined>('champion') ?? null;
      const actions = model.get<string[] | undefined>('actions') ?? [];
      const retrain = actions.includes('retrain') ? () => model.send({ do: 'retrain', model: found?.model }) : null;
      fillWith(view, found ? parts(found, told, champion, retrain, memory) : null);
    };
    const events = ['change:monitoring', 'change:told', 'change:actions'];
    events.forEach(event => model.on(event, draw));
    el.appendChild(view);
    draw();
    return () => {
      events.forEach(event => model.off(event, draw));
      view.remove();
    };
  }
};

function parts(
  found: Monitoring,
  told: readonly Alert[],
  champion: number | null,
  retrain: (() => void) | null,
  memory: DriftMemory
): Child[] {
  const columns = bySeverity(found.drift, found.series, found.distributions);
  const stretch = shownStretch(found);
  const measured = Object.keys(found.performance).length > 0;
  return [
    head(found, champion),
    alerts(found, retrain),
    columns.length > 0 && [
      heading(t('Drift')),
      h('p', { class: 'mlops-monitor-sentence' }, driftSentence(columns)),
      h(
        'p',
        { class: 'mlops-monitor-sentence mlops-quiet' },
        t('How far from the training data (PSI); dashed: what is small (%1), what is large (%2).', ...PSI_BOUNDS)
      ),
      driftCards(columns, stretch, memory)
    ],
    heading(t('Performance')),
    measured ? [performanceCards(found, stretch), groupsTable(found)] : untold(found),
    serviceParts(found, stretch),
    machineFacts(found),
    found.notes.map(note => h('p', { class: 'mlops-monitor-note mlops-quiet' }, note)),
    before(told)
  ];
}

function head(found: Monitoring, champion: number | null): HTMLElement {
  const [tone, shape, words] = (
    { well: ['good', 'check', t('well')], alert: ['bad', 'warning', t('alert')] } as const
  )[found.verdict] ?? (['plain', 'info', t(found.verdict)] as const);
  const counted = t('%1 predictions, the truth of %2 is known', number(found.rows), number(found.labelled));
  const from = found.start > 0 ? moment(found.start).slice(0, 16) : t('the beginning');
  return h(
    'header',
    { class: 'mlops-monitor-head' },
    h(
      'div',
      { class: 'mlops-monitor-title' },
      h('strong', { class: 'mlops-monitor-name' }, found.model),
      found.version !== null && h('span', { class: 'mlops-quiet' }, t('version %1', found.version)),
      champion !== null && champion === found.version && badge('plain', 'shield', t('champion')),
      badge(tone, shape, words)
    ),
    h('div', { class: 'mlops-quiet' }, counted),
    h('div', { class: 'mlops-quiet' }, t('%1 to %2', from, moment(found.end).slice(0, 16)))
  );
}

const KINDS: Record<string, [IconName, string]> = {
  drift: ['monitor', 'drift'],
  decay: ['down', 'decay'],
  health: ['warning', 'health'],
  missing: ['info', 'silent'],
  failure: ['close', 'failure']
};

function alerts(found: Monitoring, retrain: (() => void) | null): Child {
  if (!found.alerts.length) {
    return null;
  }
  const label = t('%1 alerts', found.alerts.length);
  const learns = found.alerts.some(alert => alert.kind === 'drift' || alert.kind === 'decay');
  return [
    h('ul', { class: 'mlops-alerts', 'aria-label': label }, found.alerts.map(alert => alertLine(alert))),
    learns &&
      retrain &&
      h(
        'div',
        { class: 'mlops-actions' },
        h(
          'button',
          { type: 'button', class: 'mlops-button', on: { click: retrain } },
          icon('replay'),
          t('Train again…')
        )
      )
  ];
}

function alertLine(alert: Alert): HTMLElement {
  const [shape, words] = KINDS[alert.kind] ?? ['warning', alert.kind || 'alert'];
  const since = alert.details['told'] ? t('told %1', ago(alert.at)) : t('found now, nobody was told');
  return h(
    'li',
    { class: 'mlops-alert', data: { kind: alert.kind } },
    badge('bad', shape, t(words)),
    h('span', { class: 'mlops-alert-what' }, alert.what),
    h(
      'time',
      { class: 'mlops-quiet', datetime: new Date(alert.at * 1000).toISOString(), title: moment(alert.at) },
      since
    )
  );
}

function untold(found: Monitoring): HTMLElement {
  const hint = found.labelled
    ? t('The truth of %1 predictions is known, which is too few to tell.', number(found.labelled))
    : t('Nobody told the truth of these predictions yet: mlops labels %1 FILE does.', found.model);
  return emptyState(t('Performance is not known'), hint);
}

function before(told: readonly Alert[]): Child {
  if (!told.length) {
    return null;
  }
  return h(
    'details',
    { class: 'mlops-told' },
    h('summary', {}, t('People were told %1 times', told.length)),
    h(
      'ol',
      {},
      told.map(alert =>
        h(
          'li',
          {},
          h(
            'time',
            { class: 'mlops-quiet', datetime: new Date(alert.at * 1000).toISOString() },
            moment(alert.at).slice(0, 16)
          ),
          h('span', {}, `${t(KINDS[alert.kind]?.[1] ?? alert.kind)}: ${alert.what}`),
          alert.version !== null && h('span', { class: 'mlops-quiet' }, t('version %1', alert.version))
        )
      )
    )
  );
}

function heading(words: string): HTMLElement {
  return h('h3', { class: 'mlops-monitor-heading' }, words);
}

/** The time that the plots show: from the first value to the end of the window. */
function shownStretch(found: Monitoring): Stretch {
  const first = Math.min(...Object.values(found.series).flatMap(points => points.map(([at]) => at)));
  const span = Math.max(...Object.values(found.series).flatMap(points => points.map(([at]) => at))) - first;
  // A window from the beginning of time would show all that is known as one point at its end.
  const whole = found.start > 0;
  return {
    from: whole || !Number.isFinite(first) ? found.start : first,
    to: whole || !(span > 0) ? found.end : first + span
  };
}
