"use strict";
// Scores of the last parts over their threshold. A shape for each outcome, so that colour is never all there is.

class Trend {
  constructor(canvas, texts) {
    this.canvas = canvas;
    this.texts = texts;
    this.points = new Map();
    this.most = 500;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  add({ most, points, anew }) {
    this.most = most;
    if (anew) this.points.clear();
    for (const [part, outcome, score, threshold] of points) this.points.set(part, { outcome, score, threshold });
    if (this.points.size > most) {
      const ids = [...this.points.keys()].sort((a, b) => a - b);
      for (const id of ids.slice(0, ids.length - most)) this.points.delete(id);
    }
    this.draw();
  }

  draw() {
    const scale = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (!width || !height) return;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const color = name => style.getPropertyValue(name).trim();
    const ids = [...this.points.keys()].sort((a, b) => a - b);
    const share = id => { const one = this.points.get(id); return one.score === null || !(one.threshold > 0) ? null : one.score / one.threshold; };
    const shares = ids.map(share).filter(one => one !== null).sort((a, b) => a - b);
    const top = Math.max(1.3, Math.min(3, (shares[Math.floor(shares.length * 0.98)] || 1) * 1.1));
    const left = 46, right = 10, above = 12, below = 8;
    const y = value => height - below - (height - above - below) * Math.min(1, value / top);
    const x = index => left + (width - left - right) * (ids.length < 2 ? 1 : index / (ids.length - 1));
    pen.font = `13px ${getComputedStyle(this.canvas).fontFamily}`;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let value = 0; value <= top; value += 0.5) {
      pen.strokeStyle = color("--edge");
      pen.lineWidth = 1;
      pen.beginPath(); pen.moveTo(left, y(value)); pen.lineTo(width - right, y(value)); pen.stroke();
      pen.fillStyle = color("--muted");
      pen.fillText(`${Math.round(value * 100)} %`, left - 6, y(value));
    }
    pen.strokeStyle = color("--text");
    pen.lineWidth = 2;
    pen.setLineDash([8, 5]);
    pen.beginPath(); pen.moveTo(left, y(1)); pen.lineTo(width - right, y(1)); pen.stroke();
    pen.setLineDash([]);
    ids.forEach((id, index) => this.mark(pen, color, this.points.get(id).outcome, x(index), share(id) === null ? above : y(share(id))));
    const count = name => ids.filter(id => this.points.get(id).outcome === name).length;
    const said = ["PASS", "REJECT", "FAULT"].map(name => `${this.texts[`outcome_${name}`]} ${count(name)}`).join(", ");
    this.canvas.setAttribute("aria-label", `${this.texts.js_trend} ${ids.length}: ${said}`);
  }

  mark(pen, color, outcome, x, y) {
    if (outcome === "PASS") {
      pen.fillStyle = color("--ok");
      pen.beginPath(); pen.arc(x, y, 2.5, 0, 7); pen.fill();
    } else if (outcome === "REJECT") {
      pen.fillStyle = color("--ng");
      pen.beginPath(); pen.moveTo(x, y - 6); pen.lineTo(x + 6, y + 5); pen.lineTo(x - 6, y + 5); pen.fill();
    } else {
      pen.strokeStyle = color("--fault");
      pen.lineWidth = 2;
      pen.beginPath(); pen.moveTo(x - 5, y - 5); pen.lineTo(x + 5, y + 5); pen.moveTo(x + 5, y - 5); pen.lineTo(x - 5, y + 5); pen.stroke();
    }
  }
}
