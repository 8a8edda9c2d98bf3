/** The cameras' pictures above the scene; a click looks through one. */

import { spoken, type App } from './app';
import { element } from './dom';

const WIDTH = 240;

export class Strip {
  readonly root = element('nav', { class: 'strip', 'aria-label': 'Cameras' });
  private readonly views = new Map<string, { button: HTMLButtonElement; canvas: HTMLCanvasElement }>();

  constructor(private readonly app: App) {
    app.onframe.push(() => this.update());
    app.choices.listen((changed) => {
      if (changed.has('view') || changed.has('camera')) this.press();
    });
  }

  private update(): void {
    const pictures = this.app.frame?.pictures ?? [];
    this.root.hidden = !pictures.length;
    const names = pictures.map((picture) => picture.info.name);
    if (names.join('\n') !== [...this.views.keys()].join('\n')) this.build(names);
    for (const { info, bitmap } of pictures) {
      const { canvas } = this.views.get(info.name)!;
      const height = Math.round((WIDTH * bitmap.height) / bitmap.width);
      if (canvas.height !== height) canvas.height = height;
      canvas.getContext('2d')!.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    }
  }

  private build(names: string[]): void {
    this.views.clear();
    const buttons = names.map((name) => {
      const canvas = element('canvas', { width: String(WIDTH), 'aria-hidden': 'true' });
      const label = `Look through ${spoken(name)}`;
      const made = element('button', { type: 'button', title: label, 'aria-label': label }, canvas, element('span', {}, spoken(name)));
      made.addEventListener('click', () => this.toggle(name));
      this.views.set(name, { button: made, canvas });
      return made;
    });
    this.root.replaceChildren(...buttons);
    this.press();
  }

  toggle(name: string): void {
    const { view, camera } = this.app.state;
    if (view === 'camera' && camera === name) this.app.choices.set({ view: 'follow', camera: '' });
    else this.app.choices.set({ view: 'camera', camera: name });
  }

  private press(): void {
    const { view, camera } = this.app.state;
    for (const [name, { button }] of this.views) {
      button.setAttribute('aria-pressed', String(view === 'camera' && camera === name));
    }
  }
}
