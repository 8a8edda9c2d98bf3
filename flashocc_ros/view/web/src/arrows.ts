/** Where objects go: an arrow over each that moves, as long as its way in a second. */

import {
  ConeGeometry,
  CylinderGeometry,
  Group,
  InstancedMesh,
  Matrix4,
  MeshBasicMaterial,
  Quaternion,
  Vector3,
} from 'three';

export interface Arrow {
  /** Base frame. */
  from: Vector3;
  /** Metres per second. */
  velocity: Vector3;
}

const MOST = 200;
const COLOR = 0xffffff;
const SHAFT_M = 0.13;
const HEAD_WIDE_M = 0.4;
const HEAD_LONG_M = 1.1;
const ALONG = new Vector3(0, 1, 0);

export class Arrows extends Group {
  private readonly material = new MeshBasicMaterial({ color: COLOR });
  private readonly shafts = new InstancedMesh(new CylinderGeometry(SHAFT_M, SHAFT_M, 1, 6), this.material, MOST);
  private readonly heads = new InstancedMesh(new ConeGeometry(HEAD_WIDE_M, HEAD_LONG_M, 8), this.material, MOST);

  constructor() {
    super();
    this.shafts.frustumCulled = this.heads.frustumCulled = false;
    this.shafts.count = this.heads.count = 0;
    this.add(this.shafts, this.heads);
  }

  show(arrows: Arrow[]): void {
    const turn = new Quaternion();
    const place = new Matrix4();
    const size = new Vector3();
    arrows.slice(0, MOST).forEach(({ from, velocity }, k) => {
      const length = velocity.length();
      const direction = velocity.clone().normalize();
      turn.setFromUnitVectors(ALONG, direction);
      const head = Math.min(1, length / (2 * HEAD_LONG_M)); // half of a short arrow
      const shaft = length - head * HEAD_LONG_M;
      place.compose(from.clone().addScaledVector(direction, shaft / 2), turn, size.set(1, shaft, 1));
      this.shafts.setMatrixAt(k, place);
      const middle = from.clone().addScaledVector(direction, shaft + (head * HEAD_LONG_M) / 2);
      place.compose(middle, turn, size.setScalar(head));
      this.heads.setMatrixAt(k, place);
    });
    for (const part of [this.shafts, this.heads]) {
      part.count = Math.min(arrows.length, MOST);
      part.instanceMatrix.needsUpdate = true;
    }
  }

  get count(): number {
    return this.shafts.count;
  }
}
