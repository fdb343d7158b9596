import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { fillWith, h, s } from '../kit/dom';
import { t } from '../kit/texts';
import type { KernelLine, Tracking } from './line';

/** The button Track. It says how tracking stands by a shape, a word and its tooltip; a click switches it. */
export class TrackButton extends Widget {
  constructor(private readonly _line: KernelLine) {
    super({ node: h('div', { class: 'mlops-track' }) });
    this.addClass('jp-ToolbarButton');
    const click = (): void => void _line.toggle();
    this._button = h('button', { type: 'button', class: 'mlops-track-button', on: { click } });
    this.node.appendChild(this._button);
    _line.changed.connect(this.update, this);
    this.update();
  }

  protected override onUpdateRequest(message: Message): void {
    super.onUpdateRequest(message);
    const { tracking, waiting } = this._line;
    const [label, title] = words(tracking);
    const can = tracking === 'off' || tracking === 'on' || tracking === 'paused';
    this._button.disabled = !can;
    this._button.dataset.state = tracking;
    this._button.title = title;
    this._button.setAttribute('aria-pressed', String(tracking === 'on'));
    this._button.setAttribute('aria-busy', String(waiting));
    this._button.setAttribute('aria-label', `${t('Track')}: ${title}`);
    fillWith(this._button, mark(tracking), h('span', { class: 'mlops-track-word' }, label));
  }

  private readonly _button: HTMLButtonElement;
}

function words(tracking: Tracking): [string, string] {
  switch (tracking) {
    case 'on':
      return [t('Tracking'), t('This notebook is tracked: every fit becomes a run. Press to pause.')];
    case 'paused':
      return [t('Paused'), t('Tracking is paused: cells run unrecorded. Press to go on.')];
    case 'off':
      return [t('Track'), t('This notebook is not tracked. Press, and every fit becomes a run.')];
    case 'foreign':
      return [t('Track'), t('Only Python notebooks can be tracked.')];
    case 'asking':
      return [t('Track'), t('The kernel has not answered yet.')];
    case 'none':
      return [t('Track'), t('There is no kernel: choose or start one first.')];
  }
}

/** A filled disc for on, two bars for paused, a ring for all else. */
function mark(tracking: Tracking): SVGElement {
  const shape =
    tracking === 'on'
      ? s('circle', { cx: 8, cy: 8, r: 5, fill: 'currentColor' })
      : tracking === 'paused'
        ? s('path', { d: 'M5.5 3.5v9M10.5 3.5v9', stroke: 'currentColor', 'stroke-width': 2.5, fill: 'none' })
        : s('circle', { cx: 8, cy: 8, r: 4.5, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.5 });
  return s('svg', { class: 'mlops-icon', viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' }, shape);
}
