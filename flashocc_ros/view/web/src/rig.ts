/** The cameras: frustums that carry their pictures, and the look through one of them. */

import {
  BufferGeometry,
  Camera,
  Float32BufferAttribute,
  Group,
  LineBasicMaterial,
  LineSegments,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  SRGBColorSpace,
  Texture,
  Vector3,
} from 'three';
import { cornersOf, matrixOf, projectionOf } from './pose';
import type { Picture } from './types';

const DEPTH_M = 1.7;
const NEAR_M = 0.4;
const FAR_M = 200;
const LINE_COLOR = 0xffd166;
/** Three's cameras look along -z with y up. */
const OPTICAL_FROM_THREE = new Matrix4().makeScale(1, -1, -1);

interface Mounted {
  group: Group;
  panel: Mesh<BufferGeometry, MeshBasicMaterial>;
  lines: LineSegments<BufferGeometry, LineBasicMaterial>;
  picture: Picture;
}

export class Rig extends Group {
  private readonly mounted = new Map<string, Mounted>();

  show(pictures: Picture[]): void {
    const names = new Set(pictures.map((picture) => picture.info.name));
    for (const [name, camera] of this.mounted) {
      if (names.has(name)) continue;
      release(camera);
      this.remove(camera.group);
      this.mounted.delete(name);
    }
    for (const picture of pictures) {
      const camera = this.mounted.get(picture.info.name) ?? this.mount(picture);
      const { width, height } = picture.bitmap;
      camera.picture = picture;
      const corners = cornersOf(picture.info.intrinsic, width, height, DEPTH_M);
      const flat = corners.flatMap((corner) => corner.toArray());
      camera.panel.geometry.setAttribute('position', new Float32BufferAttribute(flat, 3));
      camera.lines.geometry.setAttribute('position', new Float32BufferAttribute(outline(corners), 3));
      const texture = new Texture(picture.bitmap);
      texture.colorSpace = SRGBColorSpace;
      texture.flipY = false;
      texture.generateMipmaps = false;
      texture.needsUpdate = true;
      camera.panel.material.map?.dispose();
      camera.panel.material.map = texture;
      camera.panel.material.needsUpdate = true;
      camera.group.matrix.copy(matrixOf(picture.info.base_from_camera));
    }
  }

  get pictures(): Picture[] {
    return [...this.mounted.values()].map((camera) => camera.picture);
  }

  has(name: string): boolean {
    return this.mounted.has(name);
  }

  texture(name: string): Texture | null {
    return this.mounted.get(name)?.panel.material.map ?? null;
  }

  /** Aim `camera` as the one of this name looks; its picture's width over height. */
  lookThrough(name: string, camera: Camera): number {
    const found = this.mounted.get(name)!;
    const { info, bitmap } = found.picture;
    camera.matrixAutoUpdate = false;
    camera.matrix.copy(matrixOf(info.base_from_camera)).multiply(OPTICAL_FROM_THREE);
    camera.matrixWorldNeedsUpdate = true;
    camera.projectionMatrix.copy(projectionOf(info.intrinsic, bitmap.width, bitmap.height, NEAR_M, FAR_M));
    camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
    return bitmap.width / bitmap.height;
  }

  /** Names at the pictures' upper borders, base frame. */
  labels(): { text: string; at: Vector3 }[] {
    return [...this.mounted].map(([name, camera]) => {
      const { info, bitmap } = camera.picture;
      const [left, right] = cornersOf(info.intrinsic, bitmap.width, bitmap.height, DEPTH_M);
      return { text: name, at: left.add(right).multiplyScalar(0.5).applyMatrix4(matrixOf(info.base_from_camera)) };
    });
  }

  /** Meshes to be clicked, with their camera's name in `userData`. */
  get panels(): Mesh[] {
    return [...this.mounted.values()].map((camera) => camera.panel);
  }

  private mount(picture: Picture): Mounted {
    const panelShape = new BufferGeometry();
    panelShape.setAttribute('uv', new Float32BufferAttribute([0, 0, 1, 0, 1, 1, 0, 1], 2));
    panelShape.setIndex([0, 2, 1, 0, 3, 2]); // seen from the camera's side only: a picture has no back
    const panel = new Mesh(panelShape, new MeshBasicMaterial({ toneMapped: false }));
    const lines = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ color: LINE_COLOR }));
    panel.userData.camera = picture.info.name;
    panel.frustumCulled = lines.frustumCulled = false;
    const group = new Group();
    group.matrixAutoUpdate = false;
    group.add(panel, lines);
    this.add(group);
    const camera = { group, panel, lines, picture };
    this.mounted.set(picture.info.name, camera);
    return camera;
  }
}

function release(camera: Mounted): void {
  camera.panel.geometry.dispose();
  camera.panel.material.map?.dispose();
  camera.panel.material.dispose();
  camera.lines.geometry.dispose();
  camera.lines.material.dispose();
}

function outline(corners: Vector3[]): number[] {
  const zero = new Vector3();
  return corners.flatMap((corner, k) => [
    ...zero.toArray(),
    ...corner.toArray(),
    ...corner.toArray(),
    ...corners[(k + 1) % 4].toArray(),
  ]);
}

