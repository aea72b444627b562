"""A component for marking the pixels of a picture that inpainting replaces, by mouse, touch or keyboard.

The page sends one character per pixel, 1 if it is marked. Everything else that the page sends is
ignored.
"""

import base64
from typing import Any

import gradio as gr

from ..data.png import encode_png
from ..shapes import UInt8Images

SIDE = 384  # approximate size of the picture in CSS pixels
HELP = (
    "Drag over the pixels to replace. Keyboard: arrow keys move, Space marks, Delete unmarks; Shift with arrow keys "
    "marks along the way."
)

TEMPLATE = f"""
<div class="n-brush" hidden>
  <div class="n-paper"><canvas tabindex="0" role="application" aria-label="Picture, for marking pixels"
    aria-describedby="n-brush-help"></canvas><div class="n-ring" hidden></div></div>
  <div class="n-marking">
    <p id="n-brush-help" class="n-faint">{HELP}</p>
    <p class="n-tools">
      <label>Brush <input type="range" min="1" max="8" step="1" value="2" aria-label="Brush size"></label>
      <label><input type="checkbox"> Unmark</label>
      <button type="button" data-do="none">Clear</button>
      <button type="button" data-do="swap">Invert</button>
    </p>
    <p class="n-status" role="status"></p>
  </div>
</div>
"""

SCRIPT = """
const box = element.querySelector('.n-brush'), canvas = box.querySelector('canvas');
const ring = box.querySelector('.n-ring'), paper = box.querySelector('.n-paper');
const size = box.querySelector('input[type=range]'), erase = box.querySelector('input[type=checkbox]');
const words = box.querySelector('.n-status'), image = new Image();
let wide = 0, tall = 0, marks = [], x = 0, y = 0, last = null;
const side = () => Math.min(Number(size.value), wide, tall);

function draw() {
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, wide, tall);
  if (image.complete && image.naturalWidth) context.drawImage(image, 0, 0);
  context.fillStyle = 'rgba(214, 30, 130, .7)';
  marks.forEach((on, i) => { if (on) context.fillRect(i % wide, Math.floor(i / wide), 1, 1); });
  const half = Math.floor((side() - 1) / 2), part = (value, of) => (100 * value / of) + '%';
  ring.style.left = part(x - half, wide); ring.style.top = part(y - half, tall);
  ring.style.width = part(side(), wide); ring.style.height = part(side(), tall);
  words.textContent = marks.filter((on) => on).length + ' of ' + marks.length + ' pixels marked';
}
function keep() { props.value = {...props.value, mask: marks.map((on) => on ? '1' : '0').join('')}; draw(); }
function mark(cx, cy, on) {
  const half = Math.floor((side() - 1) / 2);
  for (let v = cy - half; v < cy - half + side(); v++)
    for (let u = cx - half; u < cx - half + side(); u++)
      if (u >= 0 && v >= 0 && u < wide && v < tall) marks[v * wide + u] = on;
}
function stroke(from, on) {
  const steps = Math.max(Math.abs(x - from[0]), Math.abs(y - from[1]), 1);
  for (let k = 0; k <= steps; k++)
    mark(Math.round(from[0] + (x - from[0]) * k / steps), Math.round(from[1] + (y - from[1]) * k / steps), on);
}
function place(event) {
  const edge = canvas.getBoundingClientRect();
  x = Math.max(0, Math.min(wide - 1, Math.floor((event.clientX - edge.left) / edge.width * wide)));
  y = Math.max(0, Math.min(tall - 1, Math.floor((event.clientY - edge.top) / edge.height * tall)));
}
canvas.addEventListener('pointerdown', (event) => {
  if (event.button > 0) return;
  canvas.setPointerCapture(event.pointerId);
  place(event); stroke([x, y], !erase.checked); last = [x, y]; draw();
});
canvas.addEventListener('pointermove', (event) => {
  ring.hidden = false; place(event);
  if (last) { stroke(last, !erase.checked); last = [x, y]; }
  draw();
});
for (const end of ['pointerup', 'pointercancel'])
  canvas.addEventListener(end, () => { if (last) { last = null; keep(); } });
canvas.addEventListener('pointerleave', () => { ring.hidden = document.activeElement !== canvas; });
canvas.addEventListener('focus', () => { ring.hidden = false; draw(); });
canvas.addEventListener('blur', () => { ring.hidden = true; });
canvas.addEventListener('keydown', (event) => {
  const moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  const move = moves[event.key], gone = event.key === 'Delete' || event.key === 'Backspace';
  if (move) {
    const from = [x, y];
    x = Math.max(0, Math.min(wide - 1, x + move[0])); y = Math.max(0, Math.min(tall - 1, y + move[1]));
    if (event.shiftKey) { stroke(from, !erase.checked); keep(); }
  } else if (event.key === ' ') { mark(x, y, !erase.checked); keep(); }
  else if (gone) { mark(x, y, false); keep(); }
  else return;
  event.preventDefault(); draw();
});
box.addEventListener('click', (event) => {
  const what = event.target.closest('button[data-do]')?.dataset.do;
  if (what) { marks = marks.map((on) => what === 'swap' && !on); keep(); }
});
size.addEventListener('input', draw);
image.addEventListener('load', draw);
function load() {
  const value = props.value;
  box.hidden = !value || !value.src;
  if (box.hidden) return;
  wide = value.width; tall = value.height;
  marks = Array.from(value.mask, (one) => one === '1');
  box.classList.toggle('n-marks', value.marking);
  x = Math.min(x, wide - 1); y = Math.min(y, tall - 1);
  if (canvas.width !== wide || canvas.height !== tall) {
    canvas.width = wide; canvas.height = tall;
    paper.style.width = Math.max(1, Math.floor(SIDE / Math.max(wide, tall))) * wide + 'px';
  }
  image.src = value.src; draw();
}
watch('value', load);
load();
"""


def build_mask_editor() -> gr.HTML:
    """The component without a picture."""
    return gr.HTML(
        "", html_template=TEMPLATE, js_on_load=SCRIPT.replace("SIDE", str(SIDE)), elem_id="brush", padding=False
    )


def make_editor_value(picture: UInt8Images, show_tools: bool) -> dict[str, Any]:
    """The component's value for a picture (1, C, H, W) without marks; `show_tools` shows the marking tools."""
    height, width = picture.shape[2:]
    source = "data:image/png;base64," + base64.b64encode(encode_png(picture, origin="other")).decode("ascii")
    return {"src": source, "width": width, "height": height, "mask": "0" * (height * width), "marking": show_tools}


def read_mask(value: Any) -> str:
    """The mask string in a value sent by the page; "" if there is none."""
    mask = value.get("mask") if isinstance(value, dict) else None
    return mask if isinstance(mask, str) else ""
