/** Brings a source, the choices of the reader and the stage together. */

import type { Arrow } from './arrows';
import { boundsOf, type Box } from './bounds';
import { element } from './dom';
import { Frames } from './frames';
import type { Label } from './labels';
import { hiddenRows, objectKey, paint, type Painting, type Shown } from './paint';
import { css, Palette } from './palette';
import { matrixOf, yawOf } from './pose';
import type { Source } from './source';
import { Stage } from './stage';
import { Choices, type State } from './state';
import type { Frame, LayerName, Thing } from './types';
import { LAYERS } from './types';
import { Vector3 } from 'three';

/** Changes of the state that change which faces are drawn. */
const REPAINT: (keyof State)[] = ['color', 'compare', 'unseen', 'hiddenClasses', 'hiddenObjects'];
const LABEL_LIFT_M = 0.3;
const ARROW_LIFT_M = 0.2;

export interface Stats {
  /** Frames that were drawn. */
  shown: number;
  /** Milliseconds from a decoded frame to its faces on the GPU. */
  build_ms: number;
  /** Milliseconds from asking for the last frame to having drawn it. */
  change_ms: number;
  faces: number;
}

export class App {
  readonly choices = new Choices();
  readonly palette: Palette;
  readonly stage: Stage;
  readonly stats: Stats = { shown: 0, build_ms: 0, change_ms: 0, faces: 0 };
  frame: Frame | null = null;
  boxes: Partial<Record<LayerName, (Box | null)[]>> = {};
  onframe: (() => void)[] = [];
  onerror: (message: string) => void = () => {};
  private readonly frames: Frames;
  private readonly paintings: (Painting | undefined)[] = [];
  private wanted = -1;
  /** Number of the frame that is being fetched. */
  private loading: number | null = null;
  private epoch = 0;

  constructor(readonly source: Source) {
    this.palette = new Palette(source.scene);
    this.stage = new Stage(source.scene.vehicle_boxes, this.palette.vehicle);
    this.frames = new Frames(source);
    this.choices.listen((changed) => this.changed(changed));
    this.stage.onmove = () => {
      if (this.choices.value.view !== 'camera') this.choices.value.eye = this.stage.eye;
    };
  }

  get live(): boolean {
    return this.source.scene.source === 'live';
  }

  get last(): number {
    return this.source.first + this.source.entries.length - 1;
  }

  get state(): State {
    return this.choices.value;
  }

  /** The source has more, or says that it is at its end. */
  sourceChanged(): void {
    if (this.last < 0) return;
    if (this.live) {
      // Most news are no frame: one that is on its way is not asked for again.
      const newest = this.loading ?? this.frame?.number;
      if (!this.state.playing || (newest === this.last && this.epoch === this.source.epoch)) return;
      this.epoch = this.source.epoch;
      if (this.state.frame === this.last) this.request(this.last);
      else this.choices.set({ frame: this.last });
    } else if (!this.frame) this.request(this.state.frame);
  }

  /** Show a frame; of several asked for while one is loading only the last is. */
  request(number: number): void {
    this.wanted = Math.max(0, number);
    if (!this.busy) void this.work();
  }

  private async work(): Promise<void> {
    while (this.wanted >= 0 && this.last >= 0) {
      if (!this.live && this.wanted > this.last && !this.source.done) break; // it is still to come
      const number = Math.min(this.wanted, this.last);
      this.wanted = -1;
      this.loading = number;
      const begin = performance.now();
      try {
        const frame = await this.frames.get(number);
        this.show(frame);
        this.stats.change_ms = performance.now() - begin;
        this.onerror('');
        if (!this.live) this.frames.prefetch([number + 1, number + 2].filter((n) => n <= this.last));
      } catch (error) {
        this.onerror(`Frame ${number + 1} cannot be shown: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    this.loading = null;
  }

  get busy(): boolean {
    return this.loading !== null;
  }

  private show(frame: Frame): void {
    this.frame = frame;
    this.boxes = {};
    for (const name of LAYERS) {
      const layer = frame.layers[name];
      if (layer) this.boxes[name] = boundsOf(layer, frame.head.grid);
    }
    this.stage.setGrid(frame.head.grid);
    this.stage.rig.show(frame.pictures);
    this.stage.surroundings.follow(this.source.entries, frame.number - this.source.first);
    this.turn();
    if (this.state.view === 'camera' && !this.stage.rig.has(this.state.camera)) this.choices.set({ view: 'follow' });
    this.repaint();
    this.stats.shown++;
    for (const listener of this.onframe) listener();
    this.stage.draw();
  }

  private turn(): void {
    const pose = this.frame?.head.odom_from_base;
    this.stage.setYaw(pose ? yawOf(matrixOf(pose)) : 0);
  }

  /** Comparisons that this frame allows; without truth or prediction there is nothing to compare. */
  get comparable(): boolean {
    return Boolean(this.frame?.layers.prediction && this.frame.layers.truth);
  }

  shown(): Shown[] {
    const layers = this.frame?.layers ?? {};
    if (!this.comparable) return layers.prediction ? ['prediction'] : layers.truth ? ['truth'] : [];
    const compare = this.state.compare;
    return compare === 'split' || compare === 'blend' ? ['prediction', 'truth'] : [compare];
  }

  private repaint(): void {
    const frame = this.frame;
    if (!frame) return;
    const begin = performance.now();
    const shown = this.shown();
    shown.forEach((name, k) => {
      this.paintings[k] = paint(frame, name, this.state, this.palette, this.paintings[k]);
      this.stage.voxels[k].show(this.paintings[k]!, frame.head.grid);
    });
    this.stage.setShown(shown, this.comparable && this.state.compare === 'blend');
    this.stats.build_ms = performance.now() - begin;
    this.stats.faces = shown.reduce((sum, _, k) => sum + this.stage.voxels[k].faceCount, 0);
    this.relabel();
    this.reselect();
  }

  private relabel(): void {
    const frame = this.frame;
    if (!frame) return;
    const ambient: Label[] = [];
    if (this.state.grid) {
      for (const ring of this.stage.surroundings.ringLabels) {
        ambient.push({ text: ring.text, at: ring.at, rank: 1000 + ring.at.length(), kind: 'distance' });
      }
    }
    this.stage.closeUps = this.state.cameras && this.state.labels ? this.cameraLabels() : [];
    this.stage.ambient = ambient;
    this.stage.sources = [0, 1].map((k) => {
      const name = this.stage.shown[k];
      return name && this.state.labels ? this.objectLabels(name === 'difference' ? 'prediction' : name) : [];
    });
    this.stage.arrows.forEach((arrows, k) => {
      const name = this.stage.shown[k];
      arrows.show(name && name !== 'difference' ? this.motion(name) : []);
    });
    this.stage.invalidate();
  }

  private cameraLabels(): Label[] {
    return this.stage.rig.labels().map(({ text, at }) => ({ text: spoken(text), at, rank: 500, kind: 'camera' }));
  }

  /** Objects of a layer that are not switched off, with the boxes around their voxels. */
  private visible(name: LayerName): { thing: Thing; box: Box }[] {
    const layer = this.frame?.layers[name];
    if (!layer) return [];
    const gone = hiddenRows(layer, name, this.state);
    return layer.objects.flatMap((thing, row) => {
      const box = this.boxes[name]?.[row];
      return box && !gone[row + 1] && !this.state.hiddenClasses.has(thing.class) ? [{ thing, box }] : [];
    });
  }

  private motion(name: LayerName): Arrow[] {
    return this.visible(name).flatMap(({ thing, box }) => {
      if (!thing.velocity) return [];
      const [x, y, z] = box.center;
      const from = new Vector3(x, y, z + box.size[2] / 2 + ARROW_LIFT_M);
      return [{ from, velocity: new Vector3(...thing.velocity) }];
    });
  }

  private objectLabels(name: LayerName): Label[] {
    return this.visible(name).map(({ thing, box }) => {
      const [x, y, z] = box.center;
      return {
        text: `${this.className(thing.class)} ${thing.id}${thing.velocity ? `  ${speedText(thing)}` : ''}`,
        at: new Vector3(x, y, z + box.size[2] / 2 + LABEL_LIFT_M),
        rank: objectKey(name, thing.id) === this.state.selected ? -1 : Math.hypot(x, y),
        kind: 'object',
        color: css(this.colorOf(thing)),
      };
    });
  }

  className(index: number): string {
    return spoken(this.source.scene.classes[index]?.name ?? `class ${index}`);
  }

  colorOf(thing: Thing): number {
    return this.state.color === 'object' ? this.palette.row(thing.color) : this.palette.ofClass(thing.class);
  }

  private reselect(): void {
    const found = this.find(this.state.selected);
    this.stage.setFrame(found && this.stage.shown.length ? found.box : null);
  }

  /** An object of the frame on show by its key. */
  find(key: string): { name: LayerName; thing: Thing; box: Box | null } | null {
    for (const name of LAYERS) {
      const row = this.frame?.layers[name]?.objects.findIndex((thing) => objectKey(name, thing.id) === key) ?? -1;
      if (row >= 0) {
        return { name, thing: this.frame!.layers[name]!.objects[row], box: this.boxes[name]?.[row] ?? null };
      }
    }
    return null;
  }

  private changed(changed: ReadonlySet<keyof State>): void {
    const state = this.state;
    if (changed.has('frame')) this.request(state.frame);
    if (changed.has('view') || changed.has('camera')) {
      if (!changed.has('eye')) state.eye = [];
      this.stage.setView(state.view, state.camera, state.eye);
      this.turn();
    } else if (changed.has('eye')) this.stage.setView(state.view, state.camera, state.eye);
    this.stage.setSwitches(state);
    if (REPAINT.some((key) => changed.has(key))) this.repaint();
    else if (changed.has('labels') || changed.has('grid') || changed.has('cameras') || changed.has('selected')) {
      this.relabel();
      this.reselect();
    }
  }
}

/** Names as people say them. */
export function spoken(name: string): string {
  return name.replace(/^.*\//, '').replace(/^CAM_/, '').replaceAll('_', ' ').toLowerCase();
}

/** Of what moves. */
export function speedText(thing: Thing): string {
  return `${Math.hypot(...thing.velocity!).toFixed(1)} m/s`;
}

export function note(text: string, level = 'warn'): HTMLElement {
  return element('p', { class: `note ${level}` }, text);
}
