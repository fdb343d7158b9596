import { button, fillWith, h, type Child } from '../kit/dom';
import { ago, bytes, moment, number, short } from '../kit/format';
import { icon, type IconName } from '../kit/icons';
import { badge, type Tone } from '../kit/status';
import { t } from '../kit/texts';
import type { Model, ViewProps } from '../model';
import type { Check, ModelView, ModelVersion } from '../records';
import { gates, gatesPassed } from './gates';

/** The versions of a registered model: aliases, metrics, who made them and what the gates said; one of them opened. */
export default {
  render({ model, el }: ViewProps): () => void {
    const show = (): void => {
      const focused = (document.activeElement as HTMLElement | null)?.dataset?.key;
      const view = model.get<ModelView | null>('model');
      fillWith(
        el,
        view &&
          h(
            'ul',
            { class: 'mlops-versions-list', role: 'list' },
            view.versions.map(item => row(model, view, item))
          )
      );
      if (focused) {
        el.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
      }
    };
    const names = ['change:model', 'change:selected', 'change:actions'];
    el.classList.add('mlops-view', 'mlops-versions');
    names.forEach(name => model.on(name, show));
    show();
    return () => names.forEach(name => model.off(name, show));
  }
};

const ALIASES: Record<string, [Tone, IconName]> = {
  champion: ['good', 'shield'],
  challenger: ['plain', 'up'],
  previous: ['plain', 'replay']
};

/** The badge of an alias: champion, challenger, previous, or one of the user's own. */
export function aliasBadge(alias: string, words = alias, title = ''): HTMLElement {
  const [tone, shape] = ALIASES[alias] ?? ['plain', 'tag'];
  const found = badge(tone, shape, words, title);
  found.dataset.alias = alias;
  return found;
}

function row(model: Model, view: ModelView, version: ModelVersion): HTMLElement {
  const open = model.get<number>('selected') === version.version;
  const check = view.checks[String(version.version)];
  const choose = (): void => {
    model.set('selected', open ? 0 : version.version);
    model.save_changes();
  };
  const head = h(
    'button',
    {
      type: 'button',
      class: 'mlops-version-head',
      'aria-expanded': open ? 'true' : 'false',
      data: { key: `version-${version.version}` },
      on: { click: choose }
    },
    icon(open ? 'down' : 'right'),
    h('span', { class: 'mlops-version-number' }, t('Version %1', version.version)),
    version.aliases.map(alias => aliasBadge(alias)),
    check && verdict(check),
    h('span', { class: 'mlops-version-when', title: moment(version.created) }, ago(version.created))
  );
  const parts = {
    class: `mlops-version${open ? ' mlops-version-open' : ''}`,
    data: { version: String(version.version) }
  };
  return h(
    'li',
    parts,
    head,
    open ? body(model, view, version, check) : h('div', { class: 'mlops-version-line' }, line(version))
  );
}

function verdict(check: Check): HTMLElement {
  const looks: Record<string, [Tone, IconName]> = { passed: ['good', 'check'], failed: ['bad', 'close'] };
  const [tone, shape] = looks[check.verdict] ?? ['plain', 'info'];
  const passed = check.gates.filter(item => item.state === 'passed').length;
  const words = check.gates.length ? t('%1/%2 gates', passed, check.gates.length) : t('no gates');
  return badge(tone, shape, words, gatesPassed(check));
}

/** The first metrics of a version in one line. */
function line(version: ModelVersion): string {
  const told = Object.entries(version.metrics)
    .slice(0, 3)
    .map(([name, value]) => `${name} ${number(value)}`);
  return told.join(' · ') || t('no metrics');
}

function body(model: Model, view: ModelView, version: ModelVersion, check: Check | undefined): HTMLElement {
  return h(
    'div',
    { class: 'mlops-version-body' },
    actions(model, version),
    metrics(version),
    facts(model, view, version),
    h('h4', {}, t('Gates')),
    check ? gates(check) : h('p', { class: 'mlops-quiet' }, unasked(view)),
    version.notes.map(note => h('p', { class: 'mlops-quiet' }, note))
  );
}

function unasked(view: ModelView): string {
  const set = view.gates.length ? t('%1 are set: %2', view.gates.length, view.gates.join('; ')) : t('none is set');
  return t('Not asked of this version yet; %1.', set);
}

const ACTIONS: [name: string, label: string, shape: IconName, hint: string][] = [
  ['promote', 'Promote…', 'up', 'Make this version champion if its gates pass, or challenger'],
  ['check', 'Check', 'shield', 'Hold this version against the gates'],
  ['approve', 'Approve…', 'check', 'Approve this version, so that somebody else may promote it'],
  ['card', 'Card', 'note', 'Show the model card'],
  ['lineage', 'Lineage', 'link', 'Show the run, the code and the data behind this version']
];

function actions(model: Model, version: ModelVersion): HTMLElement | null {
  const offered = model.get<string[] | undefined>('actions') ?? [];
  const shown = ACTIONS.filter(
    ([name]) => offered.includes(name) && (name !== 'promote' || !version.aliases.includes('champion'))
  );
  const made = shown.map(([name, label, shape, hint]) => {
    const act = (): void => model.send({ do: name, model: version.name, version: version.version });
    const found = button(t(label), act, { title: t(hint), data: { key: `${name}-${version.version}`, action: name } });
    found.prepend(icon(shape));
    return found;
  });
  return made.length ? h('div', { class: 'mlops-actions' }, made) : null;
}

function metrics(version: ModelVersion): HTMLElement | null {
  const entries = Object.entries(version.metrics);
  const tiles = entries
    .slice(0, 12)
    .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, number(value))));
  return entries.length ? h('dl', { class: 'mlops-version-metrics' }, tiles) : null;
}

function facts(model: Model, view: ModelView, version: ModelVersion): HTMLElement {
  const offered = model.get<string[] | undefined>('actions') ?? [];
  const run = version.run && short(version.run);
  const reveal = (): void => model.send({ do: 'run', run: version.run });
  const key = { class: 'mlops-link', data: { key: `run-${version.version}` }, title: t('Show the run that made it') };
  const approved = version.approved.length ? version.approved.join(', ') : view.approvals ? t('nobody yet') : '';
  const rows: [string, Child][] = [
    [t('Run'), run && (offered.includes('run') ? button(run, reveal, key) : run)],
    [
      t('Model'),
      [version.task, version.flavor, version.format, bytes(version.size || null)].filter(Boolean).join(' · ')
    ],
    [t('Registered'), [version.by, moment(version.created)].filter(Boolean).join(' · ')],
    [t('Approved by'), view.approvals ? `${approved} (${t('%1 needed', view.approvals)})` : approved],
    [t('Fitted on'), version.reference.slice(0, 12)],
    [t('Checked on'), version.test.slice(0, 12)],
    [t('Truth'), version.target],
    [t('Release'), version.release],
    [t('Hash'), version.digest.slice(0, 12)]
  ];
  const shown = rows.filter(([, value]) => value);
  return h(
    'dl',
    { class: 'mlops-facts' },
    shown.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])
  );
}
