import { fillWith, h } from './dom';
import { iconButton } from './icons';
import { t } from './texts';

/** The line of a job that goes on: what it does now, and a button that stops it. */
export class ProgressLine {
  /** `cancel` is what the button does; without it there is none. */
  constructor(words: string, cancel?: () => void) {
    this._words = h('span', { class: 'mlops-progress-words' }, words);
    this.element = h(
      'div',
      { class: 'mlops-progress', role: 'status', 'aria-live': 'polite' },
      h('span', { class: 'mlops-spinner', 'aria-hidden': 'true' }),
      this._words,
      cancel && iconButton('stop', t('Stop'), cancel)
    );
  }

  readonly element: HTMLElement;
  private readonly _words: HTMLElement;

  /** Say what is done now. */
  say(words: string): void {
    fillWith(this._words, words);
    this._words.title = words;
  }
}
