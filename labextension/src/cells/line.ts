import type { ISessionContext } from '@jupyterlab/apputils';
import { KernelMessage, type Kernel } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';

import { t } from '../kit/texts';
import { asTold, type Told } from './told';

/** How a kernel stands: none is there, it did not answer yet, has another language, is not tracked, tracked, paused. */
export type Tracking = 'none' | 'asking' | 'foreign' | 'off' | 'on' | 'paused';

const TARGET = 'jupyter_mlops';
const LOADED = "'jupyter_mlops' in __import__('IPython').get_ipython().extension_manager.loaded";

/**
 * The line to the kernel of one notebook. It opens the kernel's comm as soon as tracking is loaded there, by whoever it
 * was, and again after a restart. Nothing is asked of kernels of other languages.
 *
 * The messages are sent as they are, not through JupyterLab's own comms: these may run in a thread of the kernel's
 * beside a cell, and what IPython does after each message (such as showing unfinished figures) would fall into it.
 */
export class KernelLine implements IDisposable {
  constructor(private readonly _session: ISessionContext) {
    _session.kernelChanged.connect(this._onKernel, this);
    _session.statusChanged.connect(this._onStatus, this);
    _session.connectionStatusChanged.connect(this._onConnection, this);
    _session.iopubMessage.connect(this._onMessage, this);
    window.addEventListener('pagehide', this._leave);
    void _session.ready.then(() => this._begin());
  }

  /** How the kernel stands. */
  get tracking(): Tracking {
    return this._tracking;
  }

  /** Whether a click waits for the kernel, which may be busy. */
  get waiting(): boolean {
    return this._waiting;
  }

  /** The kernel stands otherwise, or what waited came. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What the kernel told; null when what it told before holds no longer. */
  get told(): ISignal<this, Told | null> {
    return this._told;
  }

  /** Something could not be done: why, and what to do. */
  get failed(): ISignal<this, string> {
    return this._failed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Load tracking, pause it or resume it, whichever comes next. */
  async toggle(): Promise<void> {
    if (this._tracking === 'on' || this._tracking === 'paused') {
      this._wait(true);
      this._say({ do: 'track', state: this._tracking === 'on' ? 'off' : 'on' });
    } else if (this._tracking === 'off') {
      await this.load();
    }
  }

  /** Load tracking in the kernel, silently: it is no cell of the notebook. */
  async load(): Promise<void> {
    const kernel = this._kernel;
    if (!kernel || this._tracking !== 'off') {
      return;
    }
    this._wait(true);
    const reply = await silently(kernel, '%load_ext jupyter_mlops');
    await this._look();
    if (!this._comm && reply) {
      this._wait(false);
      this._failed.emit(whyNot(reply));
    }
  }

  /** Ask the kernel to look again for stale cells: the notebook was saved, for instance. */
  look(): void {
    if (this._comm) {
      this._say({ do: 'look' });
    }
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      window.removeEventListener('pagehide', this._leave);
      this._leave();
      Signal.clearData(this);
    }
  }

  private get _kernel(): Kernel.IKernelConnection | null {
    const kernel = this._session.session?.kernel ?? null;
    return kernel && !kernel.isDisposed ? kernel : null;
  }

  /** Begin anew with the kernel that is there now. */
  private _begin(): void {
    if (this._isDisposed) {
      return;
    }
    this._comm = '';
    this._told.emit(null);
    this._be(this._kernel ? 'asking' : 'none');
    void this._look();
  }

  /** See whether tracking is loaded, and open the comm if it is. */
  private async _look(): Promise<void> {
    const kernel = this._kernel;
    const turn = ++this._turn;
    if (!kernel || this._comm) {
      return;
    }
    const info = await kernel.info.catch(() => null);
    if (info?.language_info.name !== 'python') {
      this._be(info ? 'foreign' : 'none');
      return;
    }
    const reply = await silently(kernel, '', { loaded: LOADED });
    if (this._isDisposed || turn !== this._turn || this._comm) {
      return;
    }
    if (reply?.status === 'ok' && isTrue(reply.user_expressions?.loaded)) {
      this._comm = UUID.uuid4();
      this._send('comm_open', { target_name: TARGET, data: {} });
    } else {
      this._be('off');
    }
  }

  private _onKernel(): void {
    this._begin();
  }

  private _onStatus(_: unknown, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting') {
      this._restarted = true;
    } else if (this._restarted && (status === 'idle' || status === 'busy' || status === 'starting')) {
      this._restarted = false;
      this._begin();
    } else if (status === 'dead') {
      this._begin();
    }
  }

  private _onConnection(_: unknown, status: Kernel.ConnectionStatus): void {
    if (status === 'connected' && !this._comm && this._tracking === 'asking') {
      void this._look();
    }
  }

  private _onMessage(_: unknown, message: KernelMessage.IMessage): void {
    if (KernelMessage.isCommMsgMsg(message)) {
      if (message.content.comm_id === this._comm) {
        this._hear(asTold(message.content.data));
      }
    } else if (KernelMessage.isCommCloseMsg(message)) {
      if (message.content.comm_id === this._comm) {
        this._begin();
      }
    } else if (KernelMessage.isExecuteInputMsg(message)) {
      // Any front end may have run it; it may have loaded tracking.
      const loads = !this._comm && message.content.code.includes('mlops');
      this._loading = loads ? message.parent_header.msg_id ?? '' : this._loading;
    } else if (KernelMessage.isStatusMsg(message) && message.content.execution_state === 'idle') {
      if (this._loading && message.parent_header.msg_id === this._loading) {
        this._loading = '';
        void this._look();
      }
    }
  }

  private _hear(told: Told | null): void {
    if (!told) {
      return;
    }
    if (told.ask) {
      this._say({ do: 'here' });
    }
    if (told.kind !== 'status') {
      this._waiting = false;
    }
    this._told.emit(told);
    this._be(told.tracking === 'on' ? 'on' : 'paused');
  }

  private _be(tracking: Tracking): void {
    if (tracking === 'none' || tracking === 'off' || tracking === 'foreign') {
      this._waiting = false;
    }
    this._tracking = tracking;
    this._changed.emit();
  }

  private _wait(waiting: boolean): void {
    this._waiting = waiting;
    this._changed.emit();
  }

  private _say(data: Record<string, string>): void {
    this._send('comm_msg', { data });
  }

  private _send(msgType: 'comm_open' | 'comm_msg' | 'comm_close', content: Record<string, unknown>): void {
    const kernel = this._kernel;
    if (!kernel || !this._comm || kernel.status === 'dead') {
      return;
    }
    const message = KernelMessage.createMessage({
      msgType,
      channel: 'shell',
      username: kernel.username,
      session: kernel.clientId,
      content: { comm_id: this._comm, ...content }
    } as any);
    kernel.sendShellMessage(message as any, false, true);
  }

  private readonly _leave = (): void => {
    this._send('comm_close', { data: {} });
    this._comm = '';
  };

  private _comm = '';
  private _turn = 0;
  private _loading = '';
  private _restarted = false;
  private _waiting = false;
  private _isDisposed = false;
  private _tracking: Tracking = 'none';
  private readonly _changed = new Signal<this, void>(this);
  private readonly _told = new Signal<this, Told | null>(this);
  private readonly _failed = new Signal<this, string>(this);
}

/** Run code that is no cell: nothing of it is shown or counted. Null when the kernel went away before it answered. */
async function silently(
  kernel: Kernel.IKernelConnection,
  code: string,
  asked: Record<string, string> = {}
): Promise<KernelMessage.IExecuteReplyMsg['content'] | null> {
  try {
    const quiet = { silent: true, store_history: false, stop_on_error: false, allow_stdin: false };
    return (await kernel.requestExecute({ code, ...quiet, user_expressions: asked }).done).content;
  } catch {
    return null;
  }
}

function whyNot(reply: KernelMessage.IExecuteReplyMsg['content']): string {
  const error = reply.status === 'error' ? reply : null;
  return error?.ename === 'ModuleNotFoundError' && error.evalue.includes('jupyter_mlops')
    ? t('This kernel does not have jupyter_mlops: run %pip install jupyter_mlops in it, then press Track again.')
    : t('Tracking could not be loaded (%1): run %load_ext jupyter_mlops in a cell.', error?.ename ?? reply.status);
}

function isTrue(answer: any): boolean {
  return answer?.status === 'ok' && answer.data?.['text/plain'] === 'True';
}
