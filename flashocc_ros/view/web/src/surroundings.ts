/** What stands around the voxels: rings with distances, the vehicle, its heading and its path. */

import {
  BoxGeometry,
  BufferGeometry,
  Color,
  ConeGeometry,
  DirectionalLight,
  EdgesGeometry,
  Float32BufferAttribute,
  Group,
  HemisphereLight,
  LineBasicMaterial,
  LineSegments,
  Mesh,
  MeshBasicMaterial,
  MeshLambertMaterial,
  TubeGeometry,
  CatmullRomCurve3,
  Vector3,
} from 'three';
import { matrixOf } from './pose';
import type { Entry, GridInfo } from './types';

const RING_M = 10;
const RING_COLOR = 0xdfe7ef;
const PATH_COLOR = 0x4cc2ff;
const HEADING_COLOR = 0x4cc2ff;
/** Height of the rings: just above a road. */
const LEVEL_M = 0.25;
const PATH_LEVEL_M = 0.3;
const MAX_PATH_POINTS = 300;

export class Surroundings extends Group {
  readonly rings = new Group();
  readonly vehicle = new Group();
  readonly path = new Group();
  ringLabels: { text: string; at: Vector3 }[] = [];
  private reach_m = 0;

  constructor(boxes: number[][], vehicleColor: number) {
    super();
    this.add(this.rings, this.vehicle, this.path);
    this.add(new HemisphereLight(0xffffff, 0x303840, 2.2));
    const sun = new DirectionalLight(0xffffff, 1.6);
    sun.position.set(-20, 15, 40);
    this.add(sun);
    const paint = new MeshLambertMaterial({ color: vehicleColor });
    const line = new LineBasicMaterial({ color: 0x222a33 });
    for (const [x0, y0, z0, x1, y1, z1] of boxes) {
      const shape = new BoxGeometry(x1 - x0, y1 - y0, z1 - z0);
      const body = new Mesh(shape, paint);
      body.add(new LineSegments(new EdgesGeometry(shape), line));
      body.position.set((x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2);
      this.vehicle.add(body);
    }
    const front = Math.max(0, ...boxes.map((box) => box[3]));
    const heading = new Mesh(new ConeGeometry(0.55, 1.5, 3), new MeshBasicMaterial({ color: HEADING_COLOR }));
    heading.rotation.set(0, 0, -Math.PI / 2);
    heading.scale.z = 0.25;
    heading.position.set(front + 1.6, 0, 0.5);
    this.vehicle.add(heading);
  }

  /** Rings as far as the grid reaches. */
  fit(grid: GridInfo): void {
    const far = [0, 1].flatMap((k) => [
      -grid.origin[k],
      grid.origin[k] + grid.size[k] * grid.resolution,
    ]);
    const reach_m = Math.max(RING_M, ...far);
    if (reach_m === this.reach_m) return;
    this.reach_m = reach_m;
    this.rings.clear();
    this.ringLabels = [];
    const points: number[] = [];
    for (let radius = RING_M; radius <= reach_m; radius += RING_M) {
      const parts = 96;
      for (let k = 0; k < parts; k++) {
        for (const at of [k, k + 1]) {
          const angle = (at / parts) * 2 * Math.PI;
          points.push(radius * Math.cos(angle), radius * Math.sin(angle), LEVEL_M);
        }
      }
      this.ringLabels.push({ text: `${radius} m`, at: new Vector3(radius, 0, LEVEL_M) });
      if (radius % 20 === 0) this.ringLabels.push({ text: `${radius} m`, at: new Vector3(0, radius, LEVEL_M) });
      if (radius % 20 === 0) this.ringLabels.push({ text: `${radius} m`, at: new Vector3(0, -radius, LEVEL_M) });
      if (radius % 20 === 0) this.ringLabels.push({ text: `${radius} m`, at: new Vector3(-radius, 0, LEVEL_M) });
    }
    const end = Math.floor(reach_m / RING_M) * RING_M;
    for (let k = 0; k < 12; k++) {
      const angle = (k * Math.PI) / 6;
      for (const radius of [RING_M, end]) points.push(radius * Math.cos(angle), radius * Math.sin(angle), LEVEL_M);
    }
    const shape = new BufferGeometry().setAttribute('position', new Float32BufferAttribute(points, 3));
    const color = new Color(RING_COLOR);
    this.rings.add(new LineSegments(shape, new LineBasicMaterial({ color, transparent: true, opacity: 0.5 })));
  }

  /** Where the vehicle was in the frames up to the one shown, seen from where it is. */
  follow(entries: Entry[], last: number): void {
    for (const tube of this.path.children as Mesh[]) tube.geometry.dispose();
    this.path.clear();
    const now = entries[last]?.odom_from_base;
    if (!now) return;
    const baseFromOdom = matrixOf(now).invert();
    const points: Vector3[] = [];
    for (const entry of entries.slice(Math.max(0, last + 1 - MAX_PATH_POINTS), last + 1)) {
      if (!entry.odom_from_base) continue;
      const point = new Vector3().setFromMatrixPosition(matrixOf(entry.odom_from_base)).applyMatrix4(baseFromOdom);
      point.z = PATH_LEVEL_M + point.z;
      if (!points.length || points[points.length - 1].distanceTo(point) > 0.1) points.push(point);
    }
    if (points.length < 2) return;
    const curve = new CatmullRomCurve3(points);
    const tube = new TubeGeometry(curve, Math.min(4 * points.length, 600), 0.12, 5);
    this.path.add(new Mesh(tube, new MeshBasicMaterial({ color: PATH_COLOR })));
  }
}
