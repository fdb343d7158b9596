import { Dialog } from '@jupyterlab/apputils';
import { Panel, Widget } from '@lumino/widgets';

import { Form, type Answers, type Field } from '../dialogs';
import { fillWith, h, type Child } from '../kit/dom';
import { errorState } from '../kit/empty';
import { ProgressLine } from '../kit/progress';
import { t } from '../kit/texts';
import { asServerError } from '../server';
import type { JobStage } from './job';

/** What goes on in a dialog while it works. */
export interface Stage extends JobStage {
  /** Show what came of it below the questions. */
  show(...children: Child[]): void;
}

/** What a dialog asks and does: `done` closes it, `shown` leaves what came of it, `again` leaves the questions, too. */
export interface Work {
  title: string;
  fields: readonly Field[];
  accept: string;
  warn?: boolean;
  begin: string;
  work: (answers: Answers, stage: Stage) => Promise<'done' | 'shown' | 'again'>;
}

/** Ask, do it, and show how that goes and what came of it, all in one dialog; resolves when it was closed. */
export async function askAndWork(work: Work): Promise<void> {
  await new WorkingDialog(work).launch();
}

/** A dialog of JupyterLab's that stays open while it does what was asked for. */
class WorkingDialog extends Dialog<unknown> {
  constructor(private readonly _work: Work) {
    const form = new Form(_work.fields);
    const result = new Widget({ node: h('div', { class: 'mlops-view mlops-working', 'aria-live': 'polite' }) });
    const body = new Panel();
    body.addClass('mlops-working-body');
    body.addWidget(form);
    body.addWidget(result);
    super({
      title: _work.title,
      body: body as Dialog.IBodyWidget<unknown>,
      buttons: [
        Dialog.cancelButton({ label: t('Cancel') }),
        _work.warn ? Dialog.warnButton({ label: _work.accept }) : Dialog.okButton({ label: _work.accept })
      ],
      focusNodeSelector: 'textarea, input, select'
    });
    this.addClass('mlops-dialog');
    this._form = form;
    this._result = result.node;
    form.node.addEventListener('input', () => result.node.querySelector('.mlops-working-lacking')?.remove());
  }

  override resolve(index = ACCEPT): void {
    if (index === ACCEPT) {
      void this._begin();
      return;
    }
    this._stage?.cancel?.();
    super.resolve(index);
  }

  override reject(): void {
    this._stage?.cancel?.();
    super.reject();
  }

  private async _begin(): Promise<void> {
    const accept = this._button(ACCEPT);
    if (this._stage || !accept || accept.disabled || accept.hidden) {
      return;
    }
    const answers = this._form.getValue();
    const lacking = this._work.fields.find(field => field.required && !answers[field.name]);
    if (lacking) {
      fillWith(
        this._result,
        h('p', { class: 'mlops-working-lacking', role: 'alert' }, t('Please fill in: %1', lacking.label))
      );
      return;
    }
    const line = new ProgressLine(this._work.begin);
    const stage: Stage = {
      say: words => line.say(words),
      show: (...told) => fillWith(this._result, told),
      cancel: null
    };
    this._stage = stage;
    accept.disabled = true;
    fillWith(this._result, line.element);
    try {
      const came = await this._work.work(answers, stage);
      this._stage = null;
      if (came === 'done') {
        super.resolve(ACCEPT);
      } else if (came === 'shown') {
        this._finish(accept);
      }
    } catch (error) {
      stage.show(errorState(asServerError(error).message));
    }
    this._stage = null;
    accept.disabled = false;
    this._result.scrollIntoView?.({ block: 'nearest' });
  }

  /** Nothing is left to ask. */
  private _finish(accept: HTMLButtonElement): void {
    const close = this._button(CANCEL);
    this._form.hide();
    accept.hidden = true;
    close?.querySelector('.jp-Dialog-buttonLabel')?.replaceChildren(t('Close'));
    close?.setAttribute('aria-label', t('Close'));
    close?.focus();
  }

  private _button(index: number): HTMLButtonElement | undefined {
    return this.node.querySelectorAll<HTMLButtonElement>('.jp-Dialog-footer .jp-Dialog-button')[index];
  }

  private readonly _form: Form;
  private readonly _result: HTMLElement;
  private _stage: Stage | null = null;
}

const CANCEL = 0;
const ACCEPT = 1;
