import { button, h, type Child } from '../kit/dom';
import { ago, moment } from '../kit/format';
import { badge, type Tone } from '../kit/status';
import type { IconName } from '../kit/icons';
import { t } from '../kit/texts';
import type { AuditEntry, ModelView, Report } from '../records';

const LOOKS: Record<string, [Tone, IconName]> = {
  promoted: ['good', 'up'],
  approved: ['good', 'check'],
  registered: ['plain', 'add'],
  checked: ['plain', 'shield'],
  refused: ['bad', 'close'],
  forced: ['warn', 'warning'],
  'rolled back': ['warn', 'replay'],
  'set back': ['warn', 'warning'],
  'load failed': ['bad', 'close'],
  'retrain failed': ['bad', 'close'],
  alert: ['warn', 'warning'],
  served: ['plain', 'play'],
  swapped: ['plain', 'play'],
  released: ['good', 'tag']
};

/**
 * Whether the audit log of the project is whole: no entry was changed, and the champions are those that it tells of.
 */
export function verification(report: Report): HTMLElement {
  const bad = report.problems.filter(problem => !problem.ok);
  const mark = bad.length ? badge('bad', 'close', t('not whole')) : badge('good', 'check', t('whole'));
  const told = (bad.length ? bad : report.problems).map(problem =>
    h('p', { class: 'mlops-quiet' }, [problem.what, problem.remedy].filter(Boolean).join(': '))
  );
  return h('div', { class: 'mlops-log-verified', role: 'status' }, mark, told);
}

/** The audit log of a model, newest first: what was done to which version, by whom, when and why. */
export function auditLog(view: ModelView, more: () => void): Child {
  if (!view.entries.length) {
    return h('p', { class: 'mlops-quiet' }, t('The audit log tells nothing of this model yet.'));
  }
  return [
    h(
      'ol',
      { class: 'mlops-log', role: 'list', reversed: true, 'aria-label': t('Audit log of %1', view.name) },
      view.entries.map(entry)
    ),
    view.more && button(t('Earlier entries'), more, { data: { key: 'log-more' } })
  ];
}

function entry(item: AuditEntry): HTMLElement {
  const [tone, shape] = LOOKS[item.what] ?? ['plain', 'info'];
  const told = typeof item.details.told === 'string' ? item.details.told : '';
  const why = [item.why, told].filter(Boolean).join(' · ');
  return h(
    'li',
    { class: 'mlops-log-entry', data: { what: item.what, seq: String(item.seq) } },
    h(
      'div',
      { class: 'mlops-log-head' },
      badge(tone, shape, t(item.what)),
      item.version !== null ? h('span', {}, t('version %1', item.version)) : null,
      h('span', { class: 'mlops-log-when', title: moment(item.at) }, ago(item.at))
    ),
    why && h('div', { class: 'mlops-log-why' }, why),
    h('div', { class: 'mlops-quiet' }, t('%1, entry %2', item.who, item.seq))
  );
}
