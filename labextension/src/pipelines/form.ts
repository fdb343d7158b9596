import { h, unique } from '../kit/dom';
import { t } from '../kit/texts';

/** The parameters of a pipeline as a form: each with an input that fits its default. */
export class ParamsForm {
  constructor(defaults: Record<string, unknown>, given: Record<string, unknown> = {}) {
    const names = Object.keys(defaults);
    this._summary = h('summary', {}, '');
    const rows = names.map(name => this._row(name, defaults[name], given[name]));
    this.node = h(
      'details',
      { class: 'mlops-params', hidden: names.length === 0 },
      this._summary,
      h('div', { class: 'mlops-form' }, rows)
    );
    this._say();
  }

  readonly node: HTMLDetailsElement;

  /** What was given another value than its default. */
  get given(): Record<string, unknown> {
    const found = [...this._fields].map(([name, field]) => [name, read(field)] as const);
    return Object.fromEntries(
      found.filter(([name, value]) => value !== null && written(value) !== this._defaults.get(name))
    );
  }

  private _row(name: string, value: unknown, given: unknown): HTMLElement {
    const id = unique('mlops-param');
    const now = given ?? value;
    const on = { input: () => this._say() };
    const plain = typeof value === 'number' ? { type: 'number', step: 'any' } : { type: 'text' };
    const field =
      typeof value === 'boolean'
        ? h('input', { id, type: 'checkbox', checked: now === true || now === 'true', on })
        : h('input', { id, class: 'mlops-input', ...plain, value: written(now), spellcheck: 'false', on });
    this._fields.set(name, field);
    this._defaults.set(name, written(value));
    return h('div', { class: 'mlops-field' }, h('label', { for: id }, name), field);
  }

  private _say(): void {
    const told = [...this._fields].map(([name, field]) => `${name} = ${written(read(field) ?? '')}`);
    this._summary.textContent = t('Parameters: %1', told.join(', '));
  }

  private readonly _summary: HTMLElement;
  private readonly _fields = new Map<string, HTMLInputElement>();
  private readonly _defaults = new Map<string, string>();
}

/** What a field holds; null for a number that is none. */
function read(field: HTMLInputElement): string | number | boolean | null {
  if (field.type === 'checkbox') {
    return field.checked;
  }
  if (field.type === 'number') {
    return field.value === '' || Number.isNaN(field.valueAsNumber) ? null : field.valueAsNumber;
  }
  return field.value;
}

/** A value as it is typed; lists and tables as JSON, which the pipeline reads. */
function written(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? '');
}
