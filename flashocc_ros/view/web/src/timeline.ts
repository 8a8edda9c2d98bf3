/** Play, speed, single steps and where in time; of a live source only pause. */

import type { App } from './app';
import { button, element, icon } from './dom';
import { SPEEDS } from './state';

const PLAY = 'M8 5v14l11-7z';
const PAUSE = 'M7 5h4v14H7zM13 5h4v14h-4z';
const BACK = 'M6 5h2v14H6zM19 5v14l-9-7z';
const NEXT = 'M16 5h2v14h-2zM5 5v14l9-7z';
/** Of frames without a usable period. */
const USUAL_MS = 250;
const MAX_PAUSE_MS = 2000;

export class Timeline {
  readonly root = element('footer', { class: 'timeline', 'aria-label': 'Timeline' });
  private readonly playButton = button('Play', PLAY, () => this.toggle());
  private readonly slider = element('input', { type: 'range', min: '0', max: '0', value: '0', 'aria-label': 'Frame' });
  private readonly time = element('output', { class: 'time' });
  private readonly loaded = element('span', { class: 'loaded' });
  private readonly speed = element('select', { 'aria-label': 'Speed', title: 'Speed' });
  private due = 0;
  private seconds: number[] = [];

  constructor(private readonly app: App) {
    for (const value of SPEEDS) this.speed.append(element('option', { value: String(value) }, `${value}×`));
    this.speed.addEventListener('change', () => app.choices.set({ speed: Number(this.speed.value) }));
    this.slider.addEventListener('input', () => app.choices.set({ frame: Number(this.slider.value) }));
    if (app.live) this.root.append(element('span', { class: 'live' }, 'live'), this.playButton, this.time);
    else {
      this.root.append(
        button('Previous frame', BACK, () => this.step(-1)),
        this.playButton,
        button('Next frame', NEXT, () => this.step(1)),
        this.slider,
        this.loaded,
        this.time,
        this.speed,
      );
    }
    app.choices.listen((changed) => {
      if (changed.has('playing')) this.schedule();
      if (changed.has('playing') || changed.has('frame') || changed.has('speed')) this.update();
    });
    app.onframe.push(() => {
      this.count();
      this.update();
    });
    this.update();
  }

  toggle(): void {
    const { app } = this;
    const atEnd = app.source.done && app.state.frame >= app.last;
    if (!app.live && !app.state.playing && atEnd) app.choices.set({ frame: 0 });
    app.choices.set({ playing: !app.state.playing });
    if (app.live) app.sourceChanged();
  }

  step(by: number): void {
    this.go(this.app.state.frame + by);
  }

  go(frame: number): void {
    if (this.app.live) return;
    this.app.choices.set({ playing: false, frame: Math.min(Math.max(frame, 0), Math.max(this.app.last, 0)) });
  }

  faster(by: number): void {
    const at = SPEEDS.indexOf(this.app.state.speed) + by;
    this.app.choices.set({ speed: SPEEDS[Math.min(Math.max(at, 0), SPEEDS.length - 1)] });
  }

  /** Frames shown in the last two seconds, per second. */
  get rate_hz(): number {
    const now = performance.now() / 1000;
    return this.seconds.filter((at) => now - at < 2).length / 2;
  }

  private count(): void {
    const now = performance.now() / 1000;
    this.seconds = [...this.seconds.filter((at) => now - at < 2), now];
  }

  private schedule(): void {
    this.due = performance.now();
    if (!this.app.live && this.app.state.playing) requestAnimationFrame(() => this.tick());
  }

  /** The next frame when its time has come and the one before it is drawn: a slow machine plays slower, not in jumps. */
  private tick(): void {
    const { app } = this;
    if (!app.state.playing) return;
    const now = performance.now();
    if (now >= this.due && !app.busy) {
      const next = app.state.frame + 1;
      if (next <= app.last) {
        this.due = Math.max(this.due + this.period_ms(next) / app.state.speed, now - 100);
        app.choices.set({ frame: next });
      } else if (app.source.done) {
        app.choices.set({ playing: false });
        return;
      }
    }
    requestAnimationFrame(() => this.tick());
  }

  private period_ms(next: number): number {
    const entries = this.app.source.entries;
    const [a, b] = [entries[next - 1 - this.app.source.first], entries[next - this.app.source.first]];
    const period = a && b ? Number(BigInt(b.stamp_ns) - BigInt(a.stamp_ns)) / 1e6 : 0;
    return period > 0 ? Math.min(period, MAX_PAUSE_MS) : USUAL_MS;
  }

  update(): void {
    const { app } = this;
    const { playing, frame } = app.state;
    const label = playing ? 'Pause' : 'Play';
    if (this.playButton.title !== label) {
      this.playButton.replaceChildren(icon(playing ? PAUSE : PLAY));
      this.playButton.setAttribute('aria-label', label);
      this.playButton.title = label;
    }
    const { entries, first, total } = app.source;
    if (app.live) {
      const shown = app.frame?.number ?? -1;
      this.time.textContent = shown < 0 ? 'waiting for the first result' : `frame ${shown + 1}   ${this.rate_hz.toFixed(1)} fps`;
      return;
    }
    const count = Math.max(total ?? 0, app.last + 1);
    this.slider.max = String(Math.max(count - 1, 0));
    this.slider.value = String(frame);
    const shown = Math.min(frame, app.last);
    const seconds = (at: number) =>
      entries[at - first] ? Number(BigInt(entries[at - first].stamp_ns) - BigInt(entries[0].stamp_ns)) / 1e9 : 0;
    const clock = `${seconds(shown).toFixed(2)} s`;
    this.slider.setAttribute('aria-valuetext', `frame ${shown + 1} of ${count}, ${clock}`);
    this.time.textContent = `${clock}   ${shown + 1} / ${count}`;
    this.loaded.textContent = app.source.done || !count ? '' : `reading ${Math.round((100 * (app.last + 1)) / count)} %`;
    this.speed.value = String(app.state.speed);
  }
}
