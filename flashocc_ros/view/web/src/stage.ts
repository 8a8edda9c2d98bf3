/** The picture of the scene: one or two halves of voxels with what stands around them, from one camera. */

import {
  BoxGeometry,
  Camera,
  Color,
  EdgesGeometry,
  Group,
  LineBasicMaterial,
  LineSegments,
  Mesh,
  MeshBasicMaterial,
  OrthographicCamera,
  PerspectiveCamera,
  PlaneGeometry,
  Raycaster,
  Scene,
  Vector2,
  Vector3,
  WebGLRenderer,
} from 'three';
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';
import { Arrows } from './arrows';
import type { Box } from './bounds';
import { Labels, type Label, type Part } from './labels';
import type { Shown } from './paint';
import { pick, type Hit } from './pick';
import { Rig } from './rig';
import type { State, ViewName } from './state';
import { Surroundings } from './surroundings';
import type { GridInfo } from './types';
import { GROUND, Voxels } from './voxels';

const EYES: Record<Exclude<ViewName, 'camera'>, { eye: number[]; target: number[]; fov: number }> = {
  follow: { eye: [-19, 0, 15], target: [5, 0, 0], fov: 50 },
  orbit: { eye: [-30, 24, 24], target: [2, 0, -1], fov: 45 },
  top: { eye: [-0.05, 0, 118], target: [0, 0, 0], fov: 40 },
};
const CLOSE_M = 14;
const SELECTED_COLOR = 0xffffff;

export interface Picked {
  shown: Shown;
  hit: Hit;
}

export class Stage {
  readonly canvas = document.createElement('canvas');
  readonly labels = new Labels();
  readonly rig = new Rig();
  readonly surroundings: Surroundings;
  readonly renderer: WebGLRenderer;
  /** Of the first and the second picture of the scene; the second is that beside or over the first. */
  readonly voxels = [new Voxels(), new Voxels()];
  /** Of the objects of each. */
  readonly arrows = [new Arrows(), new Arrows()];
  shown: Shown[] = [];
  onmove = () => {};
  private readonly scene = new Scene();
  private readonly root = new Group();
  private readonly camera = new PerspectiveCamera(50, 1, 0.3, 600);
  private readonly look = new Camera();
  private readonly controls: OrbitControls;
  private readonly backdrop = new Scene();
  private readonly flat = new OrthographicCamera(-1, 1, 1, -1, -1, 1);
  private readonly backdropMaterial = new MeshBasicMaterial({ depthTest: false, depthWrite: false, toneMapped: false });
  private readonly frame: LineSegments;
  private readonly raycaster = new Raycaster();
  private view: ViewName = 'follow';
  private through = '';
  private blended = false;
  private mix = 0.5;
  private overlay = 0.5;
  private aspect = 1;
  private grid: GridInfo | null = null;
  private waiting = false;
  sources: Label[][] = [[], []];
  ambient: Label[] = [];
  /** Names that are in the way unless one is near. */
  closeUps: Label[] = [];

  constructor(boxes: number[][], vehicleColor: number) {
    this.renderer = new WebGLRenderer({ canvas: this.canvas, antialias: !drawnBySoftware() });
    this.renderer.autoClear = false;
    this.renderer.setClearColor(new Color(GROUND), 1);
    this.surroundings = new Surroundings(boxes, vehicleColor);
    this.root.add(this.surroundings, this.rig, ...this.voxels);
    this.voxels.forEach((voxels, k) => voxels.add(this.arrows[k]));
    this.scene.add(this.root);
    this.frame = new LineSegments(
      new EdgesGeometry(new BoxGeometry(1, 1, 1)),
      new LineBasicMaterial({ color: SELECTED_COLOR, depthTest: false, transparent: true }),
    );
    this.frame.renderOrder = 5;
    this.frame.visible = false;
    this.root.add(this.frame);
    const plane = new Mesh(new PlaneGeometry(2, 2), this.backdropMaterial);
    plane.frustumCulled = false;
    const uv = plane.geometry.attributes.uv;
    for (let k = 0; k < uv.count; k++) uv.setY(k, 1 - uv.getY(k));
    this.backdrop.add(plane);
    this.camera.up.set(0, 0, 1);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.controls = new OrbitControls(this.camera, this.canvas);
    this.controls.maxPolarAngle = Math.PI * 0.49;
    this.controls.minDistance = 3;
    this.controls.maxDistance = 250;
    this.controls.addEventListener('change', () => {
      this.onmove();
      this.invalidate();
    });
    this.setView('follow', '', []);
  }

  // ---------------------------------------------------------------- what is shown
  setView(view: ViewName, camera: string, eye: number[]): void {
    this.view = view;
    this.through = view === 'camera' ? camera : '';
    this.controls.enabled = view !== 'camera';
    if (view !== 'camera') {
      const usual = EYES[view];
      const [ex, ey, ez, tx, ty, tz] = eye.length === 6 ? eye : [...usual.eye, ...usual.target];
      this.camera.fov = usual.fov;
      this.camera.position.set(ex, ey, ez);
      this.controls.target.set(tx, ty, tz);
      this.controls.enableRotate = view !== 'top';
      this.controls.update();
    }
    this.invalidate();
  }

  /** Eye and target of the free camera. */
  get eye(): number[] {
    return [...this.camera.position.toArray(), ...this.controls.target.toArray()];
  }

  /** Zoom by keyboard: below 1 comes nearer. */
  zoom(by: number): void {
    if (this.view === 'camera') return;
    this.camera.position.sub(this.controls.target).multiplyScalar(by).add(this.controls.target);
    this.controls.update();
  }

  /** Turn by keyboard about the target, radians. */
  turn(by: number): void {
    if (this.view === 'camera' || this.view === 'top') return;
    const arm = this.camera.position.clone().sub(this.controls.target).applyAxisAngle(new Vector3(0, 0, 1), by);
    this.camera.position.copy(this.controls.target).add(arm);
    this.controls.update();
  }

  /** The world stays where it is in the view `orbit`, and turns with the vehicle in all others. */
  setYaw(yaw: number): void {
    this.root.rotation.z = this.view === 'orbit' ? yaw : 0;
    this.root.updateMatrixWorld();
  }

  setGrid(grid: GridInfo): void {
    this.grid = grid;
    this.surroundings.fit(grid);
  }

  setShown(shown: Shown[], blended: boolean): void {
    this.shown = shown;
    this.blended = blended;
    this.invalidate();
  }

  setSwitches(state: State): void {
    this.surroundings.rings.visible = state.grid;
    this.surroundings.path.visible = state.path;
    this.rig.visible = state.cameras;
    this.mix = state.mix;
    this.overlay = state.overlay;
    for (const voxels of this.voxels) voxels.setEdges(state.edges);
    for (const arrows of this.arrows) arrows.visible = state.motion;
    this.labels.root.hidden = !state.labels && !state.grid;
    this.invalidate();
  }

  setFrame(box: Box | null): void {
    this.frame.visible = box !== null;
    if (box) {
      this.frame.position.set(...box.center);
      this.frame.scale.set(...box.size);
    }
    this.invalidate();
  }

  // ---------------------------------------------------------------- drawing
  invalidate(): void {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  resize(): void {
    const { clientWidth, clientHeight } = this.canvas.parentElement!;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setSize(clientWidth, clientHeight, false);
    this.draw();
  }

  draw(): void {
    const looking = this.through !== '' && this.rig.has(this.through);
    if (looking) this.aspect = this.rig.lookThrough(this.through, this.look);
    const parts = this.parts(looking);
    this.renderer.setScissorTest(false);
    this.renderer.setViewport(0, 0, ...this.size);
    this.renderer.clear();
    this.labels.begin();
    parts.forEach((part, index) => this.drawPart(part, index, looking));
    this.labels.end();
  }

  private drawPart(part: Part, index: number, looking: boolean): void {
    const camera = looking ? this.look : this.camera;
    if (!looking) {
      this.camera.aspect = part.width / part.height;
      this.camera.updateProjectionMatrix();
    }
    const below = this.size[1] - part.top - part.height;
    this.renderer.setViewport(part.left, below, part.width, part.height);
    this.renderer.setScissor(part.left, below, part.width, part.height);
    this.renderer.setScissorTest(true);
    const [rigShown, vehicleShown, ringsShown, pathShown] = [
      this.rig.visible,
      true,
      this.surroundings.rings.visible,
      this.surroundings.path.visible,
    ];
    const turned = this.root.rotation.z;
    if (looking) {
      this.root.rotation.z = 0;
      this.backdropMaterial.map = this.rig.texture(this.through);
      this.backdropMaterial.needsUpdate = true;
      this.renderer.render(this.backdrop, this.flat);
      this.rig.visible = this.surroundings.rings.visible = this.surroundings.path.visible = false;
      this.surroundings.vehicle.visible = false;
    }
    const passes = this.blended ? [0, 1] : [index];
    passes.forEach((which, pass) => {
      this.voxels.forEach((voxels, k) => (voxels.visible = k === which && which < this.shown.length));
      this.voxels[which].setOpacity((pass ? this.mix : 1) * (looking ? this.overlay : 1));
      if (pass) this.renderer.clearDepth();
      if (!pass || this.mix > 0) this.renderer.render(this.scene, camera);
    });
    this.rig.visible = rigShown;
    this.surroundings.vehicle.visible = vehicleShown;
    this.surroundings.rings.visible = ringsShown;
    this.surroundings.path.visible = pathShown;
    const near = this.camera.position.length() < CLOSE_M ? this.closeUps : [];
    const labels = looking ? this.sources[index] : [...this.ambient, ...near, ...this.sources[index]];
    if (!this.labels.root.hidden) this.labels.place(labels, camera, this.root.matrixWorld, part);
    this.root.rotation.z = turned;
  }

  private get size(): [number, number] {
    const ratio = this.renderer.getPixelRatio();
    return [this.canvas.width / ratio, this.canvas.height / ratio];
  }

  /** Where the halves lie on the canvas; through a camera as wide as its picture. */
  parts(looking = this.through !== '' && this.rig.has(this.through)): Part[] {
    const [width, height] = this.size;
    const count = this.blended ? 1 : Math.max(1, this.shown.length);
    return Array.from({ length: count }, (_, k) => {
      const half = { left: Math.round((k * width) / count), top: 0, width: Math.round(width / count), height };
      if (!looking) return half;
      const wide = Math.min(half.width, half.height * this.aspect);
      const high = wide / this.aspect;
      return {
        left: Math.round(half.left + (half.width - wide) / 2),
        top: Math.round((half.height - high) / 2),
        width: Math.round(wide),
        height: Math.round(high),
      };
    });
  }

  // ---------------------------------------------------------------- pointing
  /** The voxel below a point of the canvas, CSS pixels. */
  pickVoxel(x: number, y: number): Picked | null {
    if (!this.grid) return null;
    const aimed = this.aim(x, y);
    if (!aimed) return null;
    const which = this.blended ? (this.mix > 0.5 ? 1 : 0) : aimed.index;
    const painting = this.voxels[which].painting;
    if (!painting || which >= this.shown.length) return null;
    const ray = this.raycaster.ray.clone();
    if (!this.through) ray.applyMatrix4(this.root.matrixWorld.clone().invert());
    const hit = pick(painting, this.grid, ray.origin.toArray(), ray.direction.toArray());
    return hit && { shown: this.shown[which], hit };
  }

  /** Name of the camera whose picture in the scene is below a point. */
  pickCamera(x: number, y: number): string | null {
    if (!this.rig.visible || this.through || !this.aim(x, y)) return null;
    const found = this.raycaster.intersectObjects(this.rig.panels, false)[0];
    if (!found) return null;
    const voxel = this.pickVoxel(x, y);
    return voxel && voxel.hit.distance < found.distance ? null : (found.object.userData.camera as string);
  }

  private aim(x: number, y: number): { index: number } | null {
    const parts = this.parts();
    const index = parts.findIndex(
      (p) => x >= p.left && x < p.left + p.width && y >= p.top && y < p.top + p.height,
    );
    if (index < 0) return null;
    const part = parts[index];
    const at = new Vector2(((x - part.left) / part.width) * 2 - 1, 1 - ((y - part.top) / part.height) * 2);
    if (this.through && this.rig.has(this.through)) {
      const origin = new Vector3().setFromMatrixPosition(this.look.matrix);
      const through = new Vector3(at.x, at.y, 0.5).applyMatrix4(this.look.projectionMatrixInverse).applyMatrix4(this.look.matrix);
      this.raycaster.set(origin, through.sub(origin).normalize());
    } else {
      this.camera.aspect = part.width / part.height;
      this.camera.updateProjectionMatrix();
      this.camera.updateMatrixWorld();
      this.raycaster.setFromCamera(at, this.camera);
    }
    return { index };
  }
}

/** Without a GPU smooth outlines would cost four times the time. */
function drawnBySoftware(): boolean {
  const probe = document.createElement('canvas').getContext('webgl2');
  if (!probe) throw new Error('WebGL 2 is not there');
  const told = probe.getExtension('WEBGL_debug_renderer_info');
  const name = String(told ? probe.getParameter(told.UNMASKED_RENDERER_WEBGL) : '');
  probe.getExtension('WEBGL_lose_context')?.loseContext();
  return /swiftshader|llvmpipe|software/i.test(name);
}
