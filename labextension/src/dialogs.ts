import { Dialog, showDialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

import { h, unique } from './kit/dom';
import { t } from './kit/texts';

/** One question of a form. */
export interface Field {
  name: string;
  label: string;
  /**
   * text (the default), number, area (several lines), choice, many (several of `choices`), check or note (words, no
   * question).
   */
  kind?: 'text' | 'number' | 'area' | 'choice' | 'many' | 'check' | 'note';
  value?: string | boolean | string[];
  choices?: readonly (string | { value: string; label: string })[];
  hint?: string;
  placeholder?: string;
  required?: boolean;
}

/** What was answered: texts by the names of the fields, true or false for `check`, a list for `many`. */
export type Answers = Record<string, any>;

/**
 * Ask for some values in a dialog; null when it was closed. `accept` is what the button does, in a word or two;
 * `warn` marks what cannot be undone. A required field that is empty keeps the dialog's answer from being given: it
 * is asked for again.
 */
export async function askForm(
  title: string,
  fields: readonly Field[],
  accept: string,
  warn = false
): Promise<Answers | null> {
  const form = new Form(fields);
  const buttons = [
    Dialog.cancelButton({ label: t('Cancel') }),
    warn ? Dialog.warnButton({ label: accept }) : Dialog.okButton({ label: accept })
  ];
  const checks = { checkbox: null, focusNodeSelector: 'input, textarea, select' };
  const result = await showDialog<Answers>({ title, body: form, buttons, ...checks });
  if (!result.button.accept) {
    return null;
  }
  const answers = result.value ?? form.getValue();
  const lacking = fields.find(field => field.required && isEmpty(answers[field.name]));
  if (!lacking) {
    return answers;
  }
  const again = fields.map(field => ({
    ...field,
    value: answers[field.name] ?? field.value,
    hint: field === lacking ? t('Please fill this in.') : field.hint
  }));
  return askForm(title, again, accept, warn);
}

/** Ask whether to do something; `accept` is what the button does. */
export async function confirm(title: string, words: string, accept: string, warn = true): Promise<boolean> {
  return (await askForm(title, [{ name: 'words', label: words, kind: 'note' }], accept, warn)) !== null;
}

/** Tell of a failure in a dialog, in its own sentence. */
export async function tellFailure(title: string, message: string): Promise<void> {
  await showDialog({ title, body: message, buttons: [Dialog.okButton({ label: t('Close') })] });
}

/** The questions of a form, one below the other; `getValue` reads the answers. */
export class Form extends Widget {
  constructor(fields: readonly Field[]) {
    super({ node: h('div', { class: 'mlops-form' }) });
    for (const field of fields) {
      this.node.appendChild(this._row(field));
    }
  }

  getValue(): Answers {
    return Object.fromEntries([...this._read].map(([name, read]) => [name, read()]));
  }

  private _row(field: Field): HTMLElement {
    const id = unique('mlops-field');
    const hint = field.hint ? h('div', { class: 'mlops-hint', id: `${id}-hint` }, field.hint) : null;
    if (field.kind === 'note') {
      return h('p', { class: 'mlops-words' }, field.label);
    }
    if (field.kind === 'check') {
      const box = h('input', { type: 'checkbox', id, checked: field.value === true });
      this._read.set(field.name, () => box.checked);
      return h('div', { class: 'mlops-field' }, h('label', { class: 'mlops-inline', for: id }, box, field.label), hint);
    }
    if (field.kind === 'many') {
      return this._many(field, hint);
    }
    const input = this._input(field, id, hint);
    this._read.set(field.name, () => input.value.trim());
    return h('div', { class: 'mlops-field' }, h('label', { for: id }, field.label), input, hint);
  }

  private _input(
    field: Field,
    id: string,
    hint: HTMLElement | null
  ): HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement {
    const value = String(field.value ?? '');
    const known = {
      id,
      name: field.name,
      class: 'jp-mod-styled mlops-input',
      placeholder: field.placeholder ?? null,
      'aria-required': field.required ? 'true' : null,
      'aria-describedby': hint ? hint.id : null
    };
    if (field.kind === 'area') {
      return h('textarea', { ...known, rows: 3, value });
    }
    if (field.kind === 'choice') {
      const options = choices(field).map(item =>
        h('option', { value: item.value, selected: item.value === value }, item.label)
      );
      return h('select', known, options);
    }
    return h('input', {
      ...known,
      type: field.kind === 'number' ? 'number' : 'text',
      step: 'any',
      value,
      spellcheck: 'false'
    });
  }

  private _many(field: Field, hint: HTMLElement | null): HTMLElement {
    const chosen = Array.isArray(field.value) ? field.value : [];
    const boxes = choices(field).map(item => {
      const box = h('input', { type: 'checkbox', value: item.value, checked: chosen.includes(item.value) });
      return { box, row: h('label', { class: 'mlops-inline' }, box, item.label) };
    });
    this._read.set(field.name, () => boxes.filter(({ box }) => box.checked).map(({ box }) => box.value));
    return h(
      'fieldset',
      { class: 'mlops-field' },
      h('legend', {}, field.label),
      boxes.map(({ row }) => row),
      hint
    );
  }

  private readonly _read = new Map<string, () => unknown>();
}

function choices(field: Field): { value: string; label: string }[] {
  return (field.choices ?? []).map(item => (typeof item === 'string' ? { value: item, label: item } : item));
}

function isEmpty(value: unknown): boolean {
  return value === '' || value === undefined || (Array.isArray(value) && !value.length);
}
