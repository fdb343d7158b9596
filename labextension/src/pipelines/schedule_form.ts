import type { Context } from '../context';
import { button, fillWith, h, unique } from '../kit/dom';
import { t } from '../kit/texts';
import type { DueTimes, PipelineFile, Timed } from '../records';
import { asServerError } from '../server';
import { onClock, ownZone, withZone, zones } from './clock';
import { ParamsForm } from './form';

const USUAL: [string, string][] = [
  ['', 'As written below'],
  ['0 * * * *', 'Every hour'],
  ['0 6 * * *', 'Every day at 6'],
  ['0 6 * * 1-5', 'Monday to Friday at 6'],
  ['0 6 * * 1', 'Every Monday at 6'],
  ['0 6 1 * *', 'The first of every month at 6']
];
const CATCHUP: [string, string][] = [
  ['latest', 'Run the latest that was missed'],
  ['all', 'Run all that were missed'],
  ['none', 'Run none that was missed']
];
const OVERLAP: [string, string][] = [
  ['skip', 'Skip it while an earlier run goes on'],
  ['queue', 'Let it wait for the earlier run'],
  ['allow', 'Run both at the same time']
];
const PAUSE = 250;

/** The form by which a schedule is added or changed; it reads the times back in plain words while they are typed. */
export class ScheduleForm {
  /** `closed` hears whether something was changed. */
  constructor(
    private readonly _context: Context,
    private readonly _files: PipelineFile[],
    private readonly _closed: (changed: boolean) => void,
    before?: Timed
  ) {
    const usable = _files.filter(file => !file.fault);
    const first = usable.find(file => file.path === before?.path) ?? usable.find(file => file.schedule) ?? usable[0];
    const told = before?.schedule ?? (first?.schedule as Partial<Timed['schedule']> | null) ?? {};
    const say = (): void => this._say();
    this._pipeline = select(
      usable.map(file => [file.path, `${file.name} (${file.path})`]),
      first?.path ?? '',
      () => this._chosen(),
      before !== undefined
    );
    this._name = input(before?.schedule.name ?? first?.name ?? '', { disabled: before !== undefined });
    this._cron = input(told.cron ?? '0 6 * * *', { on: { input: say }, spellcheck: 'false' });
    this._usual = select(
      USUAL.map(([value, words]) => [value, t(words)]),
      '',
      () => this._pick()
    );
    const list = h(
      'datalist',
      { id: unique('mlops-zones') },
      zones().map(zone => h('option', { value: zone }))
    );
    this._zone = input(told.timezone ?? ownZone(), { on: { input: say }, list: list.id, spellcheck: 'false' });
    this._catchup = select(
      CATCHUP.map(([value, words]) => [value, t(words)]),
      told.catchup ?? 'latest'
    );
    this._overlap = select(
      OVERLAP.map(([value, words]) => [value, t(words)]),
      told.overlap ?? 'skip'
    );
    this._params = new ParamsForm(first?.params ?? {}, before?.schedule.params);
    const hint = t('Minute, hour, day of the month, month, weekday.');
    this._send = button(before ? t('Change the schedule') : t('Add the schedule'), () => void this._submit(), {
      class: 'mlops-button mlops-primary'
    });
    this.node = h(
      'form',
      {
        class: 'mlops-form mlops-schedule-form',
        'aria-label': before ? t('Change a schedule') : t('Add a schedule'),
        on: this._listeners()
      },
      field(t('Pipeline'), this._pipeline),
      field(t('Name'), this._name),
      field(t('How often'), this._usual),
      field(t('Times (cron)'), this._cron, hint),
      field(t('Time zone'), this._zone),
      list,
      this._preview,
      this._paramsBox,
      h(
        'details',
        {},
        h('summary', {}, t('When times were missed')),
        field(t('No scheduler ran'), this._catchup),
        field(t('A run goes on'), this._overlap)
      ),
      this._trouble,
      h(
        'div',
        { class: 'mlops-actions' },
        this._send,
        button(t('Cancel'), () => this._closed(false))
      )
    );
    fillWith(this._paramsBox, this._params.node);
    this._ask();
  }

  readonly node: HTMLFormElement;

  focus(): void {
    (this._pipeline.disabled ? this._cron : this._pipeline).focus();
  }

  private _listeners(): Record<string, (event: any) => void> {
    return {
      submit: (event: Event) => {
        event.preventDefault();
        void this._submit();
      },
      keydown: (event: KeyboardEvent) => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          this._closed(false);
        }
      }
    };
  }

  private _chosen(): void {
    const file = this._files.find(one => one.path === this._pipeline.value);
    this._name.value = file?.name ?? '';
    this._params = new ParamsForm(file?.params ?? {});
    fillWith(this._paramsBox, this._params.node);
    const written = file?.schedule as { cron?: string; timezone?: string } | null | undefined;
    if (written?.cron) {
      this._cron.value = written.cron;
      this._zone.value = written.timezone ?? 'UTC';
      this._ask();
    }
  }

  private _pick(): void {
    if (this._usual.value) {
      this._cron.value = this._usual.value;
      this._ask();
    }
  }

  private _say(): void {
    this._usual.value = '';
    clearTimeout(this._timer);
    this._timer = window.setTimeout(() => this._ask(), PAUSE);
  }

  private _ask(): void {
    const turn = ++this._turn;
    const args = { expression: this._cron.value.trim(), timezone: this._zone.value.trim() || 'UTC' };
    this._context.server.ask<DueTimes>('due_times', args, this._context.folder).then(
      times => turn === this._turn && this._show(times),
      error =>
        turn === this._turn &&
        fillWith(this._preview, h('span', { class: 'mlops-step-error' }, asServerError(error).message))
    );
  }

  private _show(times: DueTimes): void {
    const elsewhere = times.timezone !== ownZone();
    const next = times.coming.map(at =>
      h('li', {}, onClock(at), elsewhere && h('span', { class: 'mlops-quiet' }, ` = ${withZone(at, times.timezone)}`))
    );
    fillWith(
      this._preview,
      h('strong', {}, times.words),
      h('div', { class: 'mlops-quiet' }, t('On your clock, next:')),
      h('ul', {}, next)
    );
  }

  private async _submit(): Promise<void> {
    this._send.disabled = true;
    const more = { catchup: this._catchup.value, overlap: this._overlap.value, params: this._params.given };
    const when = { cron: this._cron.value.trim(), timezone: this._zone.value.trim() };
    const args = {
      action: 'add',
      pipeline: this._pipeline.value,
      name: this._name.value.trim() || null,
      ...when,
      ...more
    };
    try {
      await this._context.server.change('schedule', args, this._context.folder);
      this._closed(true);
    } catch (error) {
      fillWith(this._trouble, asServerError(error).message);
      this._send.disabled = false;
    }
  }

  private readonly _pipeline: HTMLSelectElement;
  private readonly _name: HTMLInputElement;
  private readonly _usual: HTMLSelectElement;
  private readonly _cron: HTMLInputElement;
  private readonly _zone: HTMLInputElement;
  private readonly _catchup: HTMLSelectElement;
  private readonly _overlap: HTMLSelectElement;
  private readonly _send: HTMLButtonElement;
  private readonly _preview = h('div', { class: 'mlops-schedule-preview', role: 'status' });
  private readonly _trouble = h('div', { class: 'mlops-step-error', role: 'alert' });
  private readonly _paramsBox = h('div');
  private _params: ParamsForm;
  private _timer = 0;
  private _turn = 0;
}

function field(label: string, control: HTMLElement, hint = ''): HTMLElement {
  control.id = unique('mlops-field');
  return h(
    'div',
    { class: 'mlops-field' },
    h('label', { for: control.id }, label),
    control,
    hint && h('div', { class: 'mlops-hint' }, hint)
  );
}

function input(value: string, attributes: Record<string, unknown> = {}): HTMLInputElement {
  return h('input', { class: 'mlops-input', type: 'text', value, ...attributes });
}

function select(
  choices: [string, string][],
  value: string,
  change: () => void = () => undefined,
  disabled = false
): HTMLSelectElement {
  const options = choices.map(([name, words]) => h('option', { value: name, selected: name === value }, words));
  return h('select', { class: 'mlops-input', disabled, on: { change } }, options);
}
