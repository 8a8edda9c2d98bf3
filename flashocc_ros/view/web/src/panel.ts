/** The choices beside the scene. */

import { spoken, type App } from './app';
import { element } from './dom';
import { difference, objectKey } from './paint';
import { css, DIFFERENCES } from './palette';
import { COLORS, COMPARES, FLAGS, UNSEEN, VIEWS, type State } from './state';
import { LAYERS, type LayerName } from './types';

const MOST_OBJECTS = 200;
/** While frames go by, lists are written this seldom. */
const UPDATE_MS = 250;

const WORDS: Record<string, string> = { split: 'side by side', camera: 'through a camera' };

export class Panel {
  readonly root = element('aside', { class: 'panel', 'aria-label': 'Choices' });
  private readonly classRows: { row: HTMLElement; box: HTMLInputElement; count: HTMLElement; swatch: HTMLElement }[] = [];
  private readonly classes = element('div', { class: 'list' });
  private readonly legend = element('div', { class: 'list legend' });
  private readonly objects = element('div', { class: 'list objects' });
  private readonly objectsTitle = element('summary', {}, 'Objects');
  private readonly report = element('dl', { class: 'report' });
  private readonly reportSection: HTMLElement;
  private readonly compareSection: HTMLElement;
  private readonly mix: HTMLElement;
  private readonly unseenSection: HTMLElement;
  private readonly overlaySection: HTMLElement;
  private written = 0;
  private pending = 0;

  constructor(private readonly app: App) {
    const scene = app.source.scene;
    this.reportSection = section(app.live ? 'Node' : 'Network', this.report);
    this.reportSection.hidden = true;
    this.mix = this.share('Truth', 'mix');
    this.overlaySection = this.share('Voxels over the picture', 'overlay');
    this.compareSection = section('Compare', this.radios('compare', COMPARES, 'Compare'), this.mix, this.legend);
    this.unseenSection = section('Unseen by the cameras', this.radios('unseen', UNSEEN, 'Unseen voxels'));
    const parts = [
      section('View', this.radios('view', VIEWS, 'View'), this.overlaySection),
      section('Colour', this.radios('color', COLORS, 'Colour')),
      this.compareSection,
      this.unseenSection,
      section('Show', this.switches()),
      this.classSection(scene.classes.map((row) => row.name)),
      details(this.objectsTitle, this.objects),
    ];
    // live one looks at the times first, later at the voxels
    if (app.live) this.root.append(this.reportSection, ...parts);
    else this.root.append(...parts, this.reportSection);
    app.choices.listen(() => this.update());
    app.onframe.push(() => this.update());
    this.update();
  }

  private radios<K extends 'view' | 'color' | 'compare' | 'unseen'>(key: K, values: State[K][], label: string): HTMLElement {
    const group = element('div', { class: 'segments', role: 'radiogroup', 'aria-label': label });
    for (const value of values) {
      const input = element('input', { type: 'radio', name: key, value: String(value) });
      input.addEventListener('change', () => this.app.choices.set({ [key]: value } as Partial<State>));
      group.append(element('label', {}, input, element('span', {}, WORDS[value] ?? String(value))));
    }
    return group;
  }

  private share(label: string, key: 'mix' | 'overlay'): HTMLElement {
    const input = element('input', { type: 'range', min: '0', max: '1', step: '0.05', name: key, 'aria-label': label });
    input.addEventListener('input', () => this.app.choices.set({ [key]: Number(input.value) }));
    return element('label', { class: 'share' }, element('span', {}, label), input);
  }

  private switches(): HTMLElement {
    const row = element('div', { class: 'switches' });
    for (const name of FLAGS) {
      const box = element('input', { type: 'checkbox', name });
      box.addEventListener('change', () => this.app.choices.set({ [name]: box.checked }));
      row.append(element('label', {}, box, name));
    }
    return row;
  }

  private classSection(names: string[]): HTMLElement {
    const all = element('button', { type: 'button', class: 'text' }, 'all');
    const none = element('button', { type: 'button', class: 'text' }, 'none');
    all.addEventListener('click', () => this.app.choices.set({ hiddenClasses: new Set() }));
    none.addEventListener('click', () => this.app.choices.set({ hiddenClasses: new Set(names.keys()) }));
    names.forEach((name, index) => {
      const box = element('input', { type: 'checkbox', 'aria-label': spoken(name) });
      const swatch = element('i');
      const count = element('small');
      swatch.style.background = css(this.app.palette.ofClass(index));
      const row = element('label', {}, box, swatch, element('span', {}, spoken(name)), count);
      box.addEventListener('change', () => {
        const hidden = new Set(this.app.state.hiddenClasses);
        if (box.checked) hidden.delete(index);
        else hidden.add(index);
        this.app.choices.set({ hiddenClasses: hidden });
      });
      this.classRows.push({ row, box, count, swatch });
      this.classes.append(row);
    });
    return section('Classes', element('div', { class: 'all' }, all, none), this.classes);
  }

  private update(): void {
    const { state } = this.app;
    for (const input of this.root.querySelectorAll<HTMLInputElement>('input[type=radio]')) {
      input.checked = String(state[input.name as keyof State]) === input.value;
    }
    for (const input of this.root.querySelectorAll<HTMLInputElement>('.switches input')) {
      input.checked = Boolean(state[input.name as keyof State]);
    }
    for (const key of ['mix', 'overlay'] as const) {
      this.root.querySelector<HTMLInputElement>(`input[name=${key}]`)!.value = String(state[key]);
    }
    this.classRows.forEach(({ box }, index) => (box.checked = !state.hiddenClasses.has(index)));
    this.compareSection.hidden = !this.app.comparable;
    this.mix.hidden = state.compare !== 'blend';
    this.legend.hidden = state.compare !== 'difference';
    this.overlaySection.hidden = state.view !== 'camera';
    this.unseenSection.hidden = !this.app.frame?.seen;
    const wait = this.written + UPDATE_MS - performance.now();
    if (wait <= 0 || !state.playing) this.write();
    else this.pending ||= window.setTimeout(() => this.write(), wait);
  }

  /** What differs from frame to frame. */
  private write(): void {
    clearTimeout(this.pending);
    this.pending = 0;
    this.written = performance.now();
    const { frame } = this.app;
    if (!frame) return;
    const names = this.app.stage.shown.filter((name) => name !== 'difference') as LayerName[];
    const counts = new Uint32Array(256);
    for (const name of names.length ? names : LAYERS) {
      for (const label of frame.layers[name]?.classes ?? []) counts[label]++;
    }
    this.classRows.forEach(({ row, count }, index) => {
      count.textContent = counts[index] ? counts[index].toLocaleString('en') : '';
      row.classList.toggle('absent', !counts[index]);
    });
    if (this.app.state.compare === 'difference' && this.app.comparable) this.writeLegend();
    this.writeObjects(names.length ? names : ['prediction']);
    this.writeReport();
  }

  private writeLegend(): void {
    const predicted = this.app.frame!.layers.prediction!.classes;
    const truth = this.app.frame!.layers.truth!.classes;
    const { seen } = this.app.frame!;
    const counts = [0, 0, 0, 0];
    for (let cell = 0; cell < predicted.length; cell++) {
      if (seen && !seen[cell]) continue;
      const kind = difference(predicted[cell], truth[cell]);
      if (kind >= 0) counts[kind]++;
    }
    const all = counts.reduce((a, b) => a + b, 0) || 1;
    this.legend.replaceChildren(
      ...DIFFERENCES.map(({ label, color }, kind) => {
        const swatch = element('i');
        swatch.style.background = css(color);
        const share = `${((100 * counts[kind]) / all).toFixed(1)} %`;
        return element('div', {}, swatch, element('span', {}, label), element('small', {}, share));
      }),
      element('p', {}, seen ? 'of what the cameras see' : 'of all voxels'),
    );
  }

  private writeObjects(names: LayerName[]): void {
    const { app } = this;
    const rows: { key: string; name: LayerName; row: number; distance: number }[] = [];
    for (const name of names) {
      app.frame!.layers[name]?.objects.forEach((thing, row) => {
        const center = app.boxes[name]?.[row]?.center ?? thing.center;
        rows.push({ key: objectKey(name, thing.id), name, row, distance: Math.hypot(center[0], center[1]) });
      });
    }
    rows.sort((a, b) => a.distance - b.distance);
    this.objectsTitle.textContent = `Objects (${rows.length})`;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.focus;
    this.objects.replaceChildren(...rows.slice(0, MOST_OBJECTS).map((found) => this.objectRow(found, names.length > 1)));
    if (focused) this.objects.querySelector<HTMLElement>(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  private objectRow(found: { key: string; name: LayerName; row: number; distance: number }, both: boolean): HTMLElement {
    const { app } = this;
    const thing = app.frame!.layers[found.name]!.objects[found.row];
    const box = element('input', { type: 'checkbox', 'data-focus': `show ${found.key}` });
    box.checked = !app.state.hiddenObjects.has(found.key);
    const title = `${app.className(thing.class)} ${thing.id}`;
    box.setAttribute('aria-label', `show ${title}`);
    box.addEventListener('change', () => {
      const hidden = new Set(app.state.hiddenObjects);
      if (box.checked) hidden.delete(found.key);
      else hidden.add(found.key);
      app.choices.set({ hiddenObjects: hidden });
    });
    const swatch = element('i');
    swatch.style.background = css(app.colorOf(thing));
    const name = element('button', { type: 'button', class: 'text', 'data-focus': found.key }, both ? `${title} · ${found.name}` : title);
    const selected = app.state.selected === found.key;
    name.setAttribute('aria-pressed', String(selected));
    name.addEventListener('click', () => app.choices.set({ selected: selected ? '' : found.key }));
    const score = thing.score > 0 ? `${Math.round(100 * thing.score)} %  ` : '';
    return element('div', {}, box, swatch, name, element('small', {}, `${score}${found.distance.toFixed(0)} m`));
  }

  private writeReport(): void {
    const { report } = this.app.frame!.head;
    this.reportSection.hidden = !report.values.length && !report.message;
    const rows = report.values.map(([key, value]) =>
      element('div', {}, element('dt', {}, key.replaceAll('_', ' ')), element('dd', {}, value)),
    );
    const message = report.message ? [element('p', { class: `note ${report.level}` }, report.message)] : [];
    this.report.replaceChildren(...message, ...rows);
  }
}

function section(title: string, ...children: HTMLElement[]): HTMLElement {
  return element('section', {}, element('h2', {}, title), ...children);
}

function details(summary: HTMLElement, ...children: HTMLElement[]): HTMLElement {
  return element('details', {}, summary, ...children);
}

