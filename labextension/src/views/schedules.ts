import { button, fillWith, h, type Child } from '../kit/dom';
import { emptyState } from '../kit/empty';
import { ago, moment, seconds, text } from '../kit/format';
import { icon } from '../kit/icons';
import { badge, stateBadge } from '../kit/status';
import { t } from '../kit/texts';
import type { Model, ViewProps } from '../model';
import type { Firing, History, Timed } from '../records';
import { onClock, ownZone, withZone } from '../pipelines/clock';

/*
 * The schedules of a project. Its model has
 *   schedules   Timed[]: each with its due times ahead
 *   schedulers  who runs them: string[]; without one nothing starts by itself, and the view says so
 *   command     what starts a scheduler in a terminal
 *   histories   what came of the due times of those that were asked for: History by name
 *   actions     what its user may ask for: add, run, pause, resume, change, remove, history, log, scheduler,
 *               sent as {do, name}
 */

/** Words of the buttons; which of them fit depends on the schedule. */
const ACTIONS: Record<string, string> = {
  run: 'Run now',
  pause: 'Pause',
  resume: 'Resume',
  history: 'History',
  change: 'Change',
  remove: 'Remove'
};

class Schedules {
  constructor(
    private readonly _model: Model,
    private readonly _el: HTMLElement
  ) {
    _el.classList.add('mlops-view', 'mlops-schedules');
    for (const name of ['schedules', 'schedulers', 'histories', 'actions', 'command']) {
      _model.on(`change:${name}`, this._draw);
    }
    // "in 5 min" goes on without news.
    this._timer = window.setInterval(() => this._el.offsetParent !== null && this._draw(), 30_000);
    this._draw();
  }

  dispose(): void {
    clearInterval(this._timer);
    for (const name of ['schedules', 'schedulers', 'histories', 'actions', 'command']) {
      this._model.off(`change:${name}`, this._draw);
    }
    this._el.replaceChildren();
  }

  private readonly _draw = (): void => {
    const schedules = this._model.get<Timed[] | undefined>('schedules') ?? [];
    const focused =
      (this._el.contains(document.activeElement) && (document.activeElement as HTMLElement).dataset.key) || '';
    const none = emptyState(
      t('No schedules'),
      t('Add one, and a scheduler runs the pipeline when it is due.'),
      [],
      'clock'
    );
    const list = h(
      'ul',
      { class: 'mlops-schedule-list' },
      schedules.map(timed => this._item(timed))
    );
    fillWith(this._el, this._scheduler(schedules), schedules.length ? list : none);
    if (focused) {
      this._el.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }
  };

  /** Whether somebody runs what is due. */
  private _scheduler(schedules: Timed[]): Child {
    const schedulers = this._model.get<string[] | undefined>('schedulers') ?? [];
    if (schedulers.length) {
      const words =
        schedulers.length === 1 ? t('A scheduler is at work') : t('%1 schedulers are at work', schedulers.length);
      return h('p', { class: 'mlops-scheduler', title: schedulers.join('\n') }, badge('good', 'check', words));
    }
    if (!schedules.some(timed => !timed.schedule.paused)) {
      return null;
    }
    const command = this._model.get<string | undefined>('command') ?? '';
    const start = this._allowed('scheduler') && this._button('scheduler', '', t('Start one in a terminal'));
    return h(
      'div',
      { class: 'mlops-scheduler mlops-scheduler-none', role: 'note' },
      h('div', {}, icon('warning'), ' ', t('No scheduler is running, so nothing starts by itself.')),
      h('div', { class: 'mlops-actions' }, start, h('code', { class: 'mlops-mono', title: command }, 'mlops scheduler'))
    );
  }

  private _item(timed: Timed): HTMLElement {
    const { schedule, coming } = timed;
    const names = ['run', schedule.paused ? 'resume' : 'pause', 'history', 'change', 'remove'].filter(name =>
      this._allowed(name)
    );
    const elsewhere = schedule.timezone !== ownZone();
    const due: Child = coming.length
      ? [
          h('div', { class: 'mlops-schedule-next', title: coming.map(at => onClock(at)).join('\n') }, [
            h('span', {}, t('Next: %1', onClock(coming[0]))),
            h('span', { class: 'mlops-quiet' }, ` (${soon(coming[0])})`)
          ]),
          elsewhere &&
            h('div', { class: 'mlops-quiet' }, t('%1 in %2', withZone(coming[0], schedule.timezone), schedule.timezone))
        ]
      : h('div', { class: 'mlops-quiet' }, schedule.paused ? t('Paused: nothing is started.') : t('Never due again.'));
    const params = Object.entries(schedule.params).map(([name, value]) => `${name} = ${text(value, 40)}`);
    const facts = [timed.words, schedule.pipeline, ...params].filter(Boolean).join(' · ');
    return h(
      'li',
      { class: 'mlops-schedule', data: { schedule: schedule.name } },
      h(
        'div',
        { class: 'mlops-schedule-head' },
        h('strong', {}, schedule.name),
        schedule.paused && stateBadge('paused')
      ),
      due,
      h('div', { class: 'mlops-quiet mlops-schedule-facts', title: schedule.cron }, facts),
      schedule.last && this._last(schedule.last),
      schedule.missed > 0 && h('div', {}, badge('warn', 'warning', t('%1 missed', schedule.missed))),
      h(
        'div',
        { class: 'mlops-actions' },
        names.map(name => this._button(name, schedule.name, t(ACTIONS[name])))
      ),
      this._history(schedule.name)
    );
  }

  private _last(last: Firing): HTMLElement {
    const why = last.why ? h('span', { class: 'mlops-quiet' }, last.why) : null;
    return h(
      'div',
      { class: 'mlops-schedule-last' },
      h('span', { title: moment(last.due) }, t('Last, %1:', ago(last.due))),
      stateBadge(last.state),
      why
    );
  }

  private _history(name: string): Child {
    const history = (this._model.get<Record<string, History> | undefined>('histories') ?? {})[name];
    if (!history) {
      return null;
    }
    const rows = history.firings.map(firing => {
      const took = firing.started !== null && firing.ended !== null ? seconds(firing.ended - firing.started) : '';
      const log = firing.log && this._allowed('log') ? this._button('log', name, t('Log'), firing.run) : null;
      const cells: Child[] = [onClock(firing.due), stateBadge(firing.state, firing.why), took, log];
      return h(
        'tr',
        {},
        cells.map(cell => h('td', {}, cell)),
        firing.why && h('td', { class: 'mlops-quiet' }, firing.why)
      );
    });
    const head = [t('Due'), t('State'), t('Time'), t('Log'), t('Why')].map(words => h('th', { scope: 'col' }, words));
    const table = h('table', { class: 'mlops-firings' }, h('thead', {}, h('tr', {}, head)), h('tbody', {}, rows));
    return rows.length
      ? h('div', { class: 'mlops-firings-scroll', tabindex: 0, role: 'group', 'aria-label': t('History') }, table)
      : h('div', { class: 'mlops-quiet' }, t('It was not due yet.'));
  }

  private _button(action: string, name: string, words: string, run = ''): HTMLButtonElement {
    const send = (): void => this._model.send({ do: action, name, run });
    const about = name ? t('%1: schedule %2', words, name) : words;
    return button(words, send, { 'aria-label': about, data: { key: `${action} ${name} ${run}`, action } });
  }

  private _allowed(action: string): boolean {
    return (this._model.get<string[] | undefined>('actions') ?? []).includes(action);
  }

  private readonly _timer: number;
}

/** How long until a moment, to the minute where it is longer than one. */
function soon(at: number, now = Date.now() / 1000): string {
  const left = at - now;
  return ago(left > 60 ? now + 60 * Math.round(left / 60) : at, now);
}

/** Show the schedules of a project in an element; gives back how to take them away. */
export function render({ model, el }: ViewProps): () => void {
  const schedules = new Schedules(model, el);
  return () => schedules.dispose();
}

export default { render };
