import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';

import type { Context } from '../context';
import { h } from '../kit/dom';
import { seconds } from '../kit/format';
import { badge } from '../kit/status';
import { t } from '../kit/texts';
import type { Check, ModelList, ModelVersion, ModelView, Promotion, Run } from '../records';
import { gates } from '../views/gates';
import { work } from './job';
import { registerInKernel } from './kernel';
import { askAndWork, type Stage } from './working';

/** Ask which version is to get which alias, and why; show the gates while they are asked, and what they said. */
export async function promote(context: Context, view: ModelView, chosen?: number): Promise<void> {
  const version = chosen ?? candidate(view);
  const choices = view.versions.map(item => ({
    value: String(item.version),
    label: [t('Version %1', item.version), ...item.aliases].join(' · ')
  }));
  const approvals = view.approvals ? t('%1 approvals by others are needed.', view.approvals) : '';
  const asked = view.gates.length ? t('It must pass %1 gates: %2.', view.gates.length, view.gates.join('; ')) : '';
  const none = t('No gate is set for this model in pyproject.toml, so nothing but your word decides.');
  await askAndWork({
    title: t('Promote a version of %1', view.name),
    accept: t('Promote'),
    begin: t('Asking the gates'),
    fields: [
      { name: 'version', label: t('Version'), kind: 'choice', value: String(version), choices },
      {
        name: 'to',
        label: t('It becomes'),
        kind: 'choice',
        value: 'champion',
        choices: [
          { value: 'champion', label: t('champion: it serves') },
          { value: 'challenger', label: t('challenger: it is tried, no gate is asked') }
        ],
        hint: [asked || none, approvals].filter(Boolean).join(' ')
      },
      { name: 'why', label: t('Why'), kind: 'area', placeholder: t('The reason, for the audit log') },
      {
        name: 'force',
        label: t('Even if a gate fails'),
        kind: 'check',
        hint: t('Only with a reason, which the audit log keeps. Approvals cannot be forced.')
      }
    ],
    work: async (answers, stage) => {
      if (answers.force && !answers.why) {
        throw new Error(t('What is forced needs a reason for the audit log: fill in Why.'));
      }
      const promotion = await promoted(context, view.name, answers, stage);
      context.touch('models');
      stage.show(cameOf(promotion));
      return promotion.verdict === 'refused' ? 'again' : 'shown';
    }
  });
}

async function promoted(
  context: Context,
  name: string,
  answers: Record<string, any>,
  stage: Stage
): Promise<Promotion> {
  const to = String(answers.to);
  const args = { name, version: Number(answers.version), to, why: String(answers.why) };
  if (to === 'challenger') {
    return context.server.change<Promotion>('promote', args, context.folder);
  }
  return work<Promotion>(context, 'promote', answers.force ? { ...args, force: true } : args, stage);
}

/** Hold a version against its gates, and show what they say. */
export async function check(context: Context, view: ModelView, version: number): Promise<void> {
  await askAndWork({
    title: t('Check version %1 of %2', version, view.name),
    accept: t('Check'),
    begin: t('Asking the gates'),
    fields: [
      {
        name: 'words',
        kind: 'note',
        label: view.gates.length
          ? t('The version is tried on its test data and held against: %1.', view.gates.join('; '))
          : t(
              'No gate is set for this model: `gates` in [tool.mlops.models.%1] of pyproject.toml sets some.',
              view.name
            )
      }
    ],
    work: async (_, stage) => {
      const found = await work<Check>(context, 'check', { model: `${view.name}/${version}` }, stage);
      context.touch('models');
      stage.show(gates(found));
      return 'shown';
    }
  });
}

/** Ask why, and make the previous champion champion again. */
export async function rollBack(context: Context, view: ModelView): Promise<void> {
  const of = (alias: string): number | undefined => view.versions.find(item => item.aliases.includes(alias))?.version;
  const [champion, previous] = [of('champion'), of('previous')];
  await askAndWork({
    title: t('Roll back %1', view.name),
    accept: t('Roll back'),
    warn: true,
    begin: t('Going back'),
    fields: [
      {
        name: 'words',
        kind: 'note',
        label: t(
          'Version %1 becomes champion again, at once, in place of version %2. No gate is asked.',
          previous ?? '',
          champion ?? ''
        )
      },
      { name: 'why', label: t('Why'), kind: 'area', placeholder: t('The reason, for the audit log'), required: true }
    ],
    work: async answers => {
      const back = await context.server.change<Promotion>(
        'rollback',
        { name: view.name, why: answers.why },
        context.folder
      );
      context.touch('models');
      const told = t('Version %1 of %2 is champion again, after %3.', back.version, view.name, seconds(back.seconds));
      Notification.success(told, { autoClose: 5000 });
      return 'done';
    }
  });
}

/** Ask what was looked at, and approve a version. */
export async function approve(context: Context, view: ModelView, version: number): Promise<void> {
  await askAndWork({
    title: t('Approve version %1 of %2', version, view.name),
    accept: t('Approve'),
    begin: t('Noting the approval'),
    fields: [{ name: 'why', label: t('What you looked at'), kind: 'area', placeholder: t('For the audit log') }],
    work: async answers => {
      await context.server.change<ModelVersion>(
        'approve',
        { name: view.name, version, why: answers.why },
        context.folder
      );
      context.touch('models');
      Notification.success(t('Version %1 of %2 is approved.', version, view.name), { autoClose: 5000 });
      return 'done';
    }
  });
}

/** Ask for a name, and register the model of a run as its next version. */
export async function register(app: JupyterFrontEnd, context: Context, run: Run): Promise<void> {
  const known = await context.server
    .ask<ModelList>('models', {}, context.folder)
    .catch((): ModelList => ({ models: [], services: [] }));
  const names = known.models.map(item => item.name);
  await askAndWork({
    title: t('Register the model of %1', run.name || run.id.slice(0, 8)),
    accept: t('Register'),
    begin: t('Registering the model with the data that it was fitted on'),
    fields: [
      {
        name: 'name',
        label: t('Name of the model'),
        value: names.length === 1 ? names[0] : '',
        required: true,
        hint: names.length
          ? t('There are: %1. A new name begins a new model.', names.join(', '))
          : t('The name that it is served by.')
      }
    ],
    work: async (answers, stage) => {
      const here = await registerInKernel(app, context, run, answers.name);
      const made =
        here ??
        (await context.server.change<ModelVersion>('register', { run: run.id, name: answers.name }, context.folder));
      context.touch('models');
      stage.show(
        h('p', {}, badge('good', 'check', t('registered')), ' ', t('It is version %1 of %2.', made.version, made.name)),
        made.aliases.length ? null : h('p', {}, t('Promote it in the section Models, and it serves.')),
        made.notes.map(note => h('p', { class: 'mlops-quiet' }, note))
      );
      return 'shown';
    }
  });
}

/** What came of a promotion, with the gates that were asked. */
export function cameOf(promotion: Promotion): HTMLElement {
  const good = promotion.verdict === 'promoted' || promotion.verdict === 'unchanged';
  const [tone, shape] = promotion.verdict === 'refused' ? (['bad', 'close'] as const) : (['warn', 'warning'] as const);
  const mark = good ? badge('good', 'check', t(promotion.verdict)) : badge(tone, shape, t(promotion.verdict));
  const why = promotion.verdict === 'refused' ? promotion.why : '';
  return h(
    'div',
    { class: 'mlops-promotion', data: { verdict: promotion.verdict } },
    h('p', {}, mark, ' ', h('b', {}, sentence(promotion))),
    why && h('p', { class: 'mlops-promotion-why' }, why),
    promotion.check && gates(promotion.check),
    promotion.notes.map(note => h('p', { class: 'mlops-quiet' }, note))
  );
}

function sentence(promotion: Promotion): string {
  const { model, version, alias, before } = promotion;
  switch (promotion.verdict) {
    case 'refused':
      return before
        ? t('Version %1 of %2 is not made %3; version %4 stays.', version, model, alias, before)
        : t('Version %1 of %2 is not made %3.', version, model, alias);
    case 'unchanged':
      return t('Version %1 of %2 is %3 already.', version, model, alias);
    case 'forced':
      return t('Version %1 of %2 is %3 now, although its gates do not all pass.', version, model, alias);
  }
  return before
    ? t('Version %1 of %2 is %3 now, after version %4.', version, model, alias, before)
    : t('Version %1 of %2 is %3 now.', version, model, alias);
}

function candidate(view: ModelView): number {
  const known = view.versions.filter(item => !item.aliases.includes('champion'));
  return (known.find(item => item.aliases.includes('challenger')) ?? known[0] ?? view.versions[0])?.version;
}
