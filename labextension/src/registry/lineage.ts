import { button, h, type Child } from '../kit/dom';
import { count, moment, number, short, text } from '../kit/format';
import { icon, type IconName } from '../kit/icons';
import { t } from '../kit/texts';
import type { Trace } from '../records';
import { aliasBadge } from '../views/versions';

/** Where a model version comes from, from its data at the top to its predictions at the end. */
export function lineagePage(trace: Trace, reveal: (run: string) => void): HTMLElement {
  const { version, run, used } = trace;
  const roles: Record<string, string> = {
    training: t('fitted on'),
    test: t('checked on'),
    input: t('read by the run')
  };
  const data = trace.data.map(item => [
    h('b', {}, item.name || short(item.digest)),
    ' ',
    [roles[item.role] ?? item.role, item.kind, rows(item.rows), short(item.digest)].filter(Boolean).join(' · '),
    item.kept ? '' : ` · ${t('known by its digest alone')}`
  ]);
  const params = Object.entries(run?.params ?? {}).map(([name, value]) => `${name} = ${text(value, 60)}`);
  const metrics = Object.entries(run?.metrics ?? {}).map(([name, value]) => `${name} ${number(value)}`);
  const shown = trace.statements[1] ? t('%1 of %2 statements made it', trace.statements[0], trace.statements[1]) : '';
  return h(
    'div',
    { class: 'mlops-lineage' },
    data.length
      ? step(
          'data',
          t('Data'),
          h(
            'ul',
            { role: 'list' },
            data.map(item => h('li', {}, item))
          )
        )
      : null,
    run &&
      step('runs', t('Run'), [
        h(
          'p',
          {},
          button(run.name || short(run.id), () => reveal(run.id), { class: 'mlops-link' }),
          ` ${moment(run.started)}`
        ),
        run.notebook && h('p', { class: 'mlops-quiet' }, run.notebook),
        params.length ? h('p', {}, params.join(' · ')) : null,
        metrics.length ? h('p', {}, metrics.join(' · ')) : null
      ]),
    trace.code &&
      step('cell', t('Code'), [
        h('p', { class: 'mlops-quiet' }, shown),
        h('pre', { class: 'mlops-lineage-code', tabindex: 0, 'aria-label': t('The code that made it') }, trace.code)
      ]),
    version &&
      step('models', t('Version'), [
        h(
          'p',
          {},
          h('b', {}, t('%1 version %2', version.name, version.version)),
          ' ',
          version.aliases.map(alias => aliasBadge(alias))
        ),
        h(
          'p',
          { class: 'mlops-quiet' },
          t('registered %1 by %2, hash %3', moment(version.created), version.by || '–', version.digest.slice(0, 12))
        )
      ]),
    used && step('monitor', t('Predictions'), h('p', {}, predicted(used.predictions, used.first, used.last))),
    trace.missing.map(note => h('p', { class: 'mlops-quiet' }, note))
  );
}

function step(shape: IconName, title: string, body: Child): HTMLElement {
  return h('section', { class: 'mlops-lineage-step' }, h('h3', {}, icon(shape), title), h('div', {}, body));
}

function rows(found: number | null): string {
  return found === null ? '' : t('%1 rows', count(found));
}

function predicted(many: number, first: number | null, last: number | null): string {
  return many
    ? t('%1 predictions, from %2 to %3', count(many), moment(first), moment(last))
    : t('It has predicted nothing that was logged.');
}
