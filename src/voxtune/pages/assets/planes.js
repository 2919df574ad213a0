"use strict";
// Three views through one volume of bytes. Axes: x to the right, y to the front, z to the top; the first runs fastest.
// Radiological, as is the default: coronal and axial views are seen from the front and from the feet, the person's right on the left.
const RADIOLOGICAL = document.body.dataset.view !== "neurological";
const SIDES = RADIOLOGICAL ? ["R", "L"] : ["L", "R"];

const VIEWS = [
  { name: "sagittal", axis: 0, across: 1, up: 2, ends: ["P", "A"] },
  { name: "coronal", axis: 1, across: 0, up: 2, ends: SIDES, turned: RADIOLOGICAL },
  { name: "axial", axis: 2, across: 0, up: 1, ends: SIDES, turned: RADIOLOGICAL },
];
const ZERO = 128; // of a heat map: above it raises the score, below it lowers it

class Planes {
  constructor(parent) {
    this.grey = null;
    this.heat = null;
    this.opacity = 0.7;
    this.at = [0, 0, 0];
    this.views = VIEWS.map((view) => this.#makeView(parent, view));
  }

  show(bytes, shape, spacing) {
    if (bytes.length !== shape[0] * shape[1] * shape[2]) throw new Error("the volume has another size than it says");
    this.grey = bytes;
    this.heat = null;
    this.shape = shape;
    this.spacing = spacing;
    this.at = shape.map((count) => Math.floor(count / 2));
    for (const view of this.views) {
      const [width, height] = [shape[view.across], shape[view.up]];
      view.slice.width = width;
      view.slice.height = height;
      // A picture of a fixed width in pixels, its height by the true proportions of the slice.
      view.canvas.width = 384;
      view.canvas.height = Math.max(32, Math.round((384 * height * spacing[view.up]) / (width * spacing[view.across])));
      view.slider.max = shape[view.axis] - 1;
    }
    this.draw();
  }

  setHeat(bytes) {
    if (bytes && bytes.length !== this.grey.length) throw new Error("the heat map has another size than the volume");
    this.heat = bytes;
    this.draw();
  }

  setOpacity(share) {
    this.opacity = share;
    this.draw();
  }

  move(axis, place) {
    this.at[axis] = Math.min(Math.max(Math.round(place), 0), this.shape[axis] - 1);
    this.draw();
  }

  draw() {
    if (this.grey) for (const view of this.views) this.#drawView(view);
  }

  #makeView(parent, kind) {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    const caption = document.createElement("figcaption");
    const label = document.createElement("label");
    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = 0;
    slider.id = `slice-${kind.name}`;
    label.htmlFor = slider.id;
    label.textContent = kind.name;
    caption.append(label, slider);
    figure.append(canvas, caption);
    parent.append(figure);
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    const view = { ...kind, canvas, slider, slice: document.createElement("canvas") };
    slider.addEventListener("input", () => this.grey && this.move(view.axis, Number(slider.value)));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#point(view, event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && this.#point(view, event));
    canvas.addEventListener("keydown", (event) => this.#key(view, event));
    return view;
  }

  #point(view, event) {
    if (!this.grey) return;
    const box = view.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const across = (view.turned ? 1 - share : share) * this.shape[view.across];
    const up = (1 - (event.clientY - box.top) / box.height) * this.shape[view.up];
    this.move(view.across, across - 0.5);
    this.move(view.up, up - 0.5);
  }

  #key(view, event) {
    const right = view.turned ? -1 : 1;
    const steps = {
      ArrowLeft: [view.across, -right], ArrowRight: [view.across, right], ArrowUp: [view.up, 1], ArrowDown: [view.up, -1],
      PageUp: [view.axis, 1], PageDown: [view.axis, -1],
    };
    const step = steps[event.key];
    if (!this.grey || !step) return;
    event.preventDefault();
    this.move(step[0], this.at[step[0]] + step[1]);
  }

  #drawView(view) {
    const [nx, ny] = this.shape;
    const stride = [1, nx, nx * ny];
    const [width, height] = [this.shape[view.across], this.shape[view.up]];
    const pen = view.slice.getContext("2d");
    const picture = pen.createImageData(width, height);
    const first = this.at[view.axis] * stride[view.axis];
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1) {
        const voxel = first + (view.turned ? width - 1 - column : column) * stride[view.across] + (height - 1 - row) * stride[view.up];
        const pixel = 4 * (row * width + column);
        const grey = this.grey[voxel];
        const heat = this.heat ? (this.heat[voxel] - ZERO) / 127 : 0;
        const strength = Math.min(Math.abs(heat), 1);
        const cover = strength * this.opacity;
        const colour = heat > 0 ? [255, 255 * strength, 0] : [0, 255 * strength, 255];
        for (let part = 0; part < 3; part += 1) picture.data[pixel + part] = grey * (1 - cover) + colour[part] * cover;
        picture.data[pixel + 3] = 255;
      }
    }
    pen.putImageData(picture, 0, 0);
    this.#frame(view, width, height);
  }

  #frame(view, width, height) {
    const { canvas } = view;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = true;
    pen.drawImage(view.slice, 0, 0, canvas.width, canvas.height);
    const share = (this.at[view.across] + 0.5) / width;
    const x = (view.turned ? 1 - share : share) * canvas.width;
    const y = (1 - (this.at[view.up] + 0.5) / height) * canvas.height;
    pen.strokeStyle = "rgba(143, 208, 255, 0.6)";
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, canvas.height);
    pen.moveTo(0, y);
    pen.lineTo(canvas.width, y);
    pen.stroke();
    pen.fillStyle = "#8fd0ff";
    pen.font = "bold 20px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    pen.fillText(view.ends[0], 6, canvas.height / 2);
    pen.textAlign = "right";
    pen.fillText(view.ends[1], canvas.width - 6, canvas.height / 2);
    view.slider.value = this.at[view.axis];
    const words = `${view.name} slice ${this.at[view.axis] + 1} of ${this.shape[view.axis]}`;
    view.slider.setAttribute("aria-valuetext", words);
    canvas.setAttribute("aria-label", `${words}; arrow keys move the cross, Page Up and Page Down change the slice`);
  }
}
