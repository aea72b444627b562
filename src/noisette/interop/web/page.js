// The page: reads its parts, hands them to the worker, shows what the worker draws, and saves pictures.

const $ = (id) => document.getElementById(id);
const COUNT = 16; // pictures of a grid
const MAX_SEED = Number.MAX_SAFE_INTEGER - COUNT;

/** A part of the page as it is packed: its Base64 text, or the file that it names. */
async function readPacked(id) {
  const element = $(id), file = element.dataset.file;
  if (!file) {
    const bytes = fromBase64(element.textContent);
    element.textContent = "";
    return bytes;
  }
  const answer = await fetch(file);
  if (!answer.ok) throw new Error(`${file} cannot be read: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

const readPart = async (id) => unpack(await readPacked(id), Number($(id).dataset.planes));

const model = JSON.parse($("model").textContent); // table, record, labels, mode, xmp, name
const [channels, height, width] = model.table.inputs.x.slice(1);
const STEPS = model.table.steps.length;
const cells = Array.from({length: COUNT}, (_, i) => makeCell(i));
let job = 0, drawing = false, frames = []; // frames: step → picture → pixels

function makeCell(index) {
  const cell = $("cell").content.firstElementChild.cloneNode(true);
  const [canvas, caption, save] = ["canvas", "span", "button"].map((name) => cell.querySelector(name));
  [canvas.width, canvas.height] = [width, height];
  save.addEventListener("click", () => savePicture(index));
  $("pictures").append(cell);
  return {canvas, caption, save, request: null};
}

/** Pictures are enlarged by a whole factor, so that every pixel is a square. */
function setScale() {
  const columns = 4, gaps = 12 * (columns - 1), room = ($("pictures").clientWidth - gaps) / columns;
  const scale = Math.max(1, Math.floor(Math.min(room, 176) / width));
  for (const {canvas} of cells) canvas.style.width = `${Math.min(scale * width, room)}px`;
}

function showPixels(canvas, pixels) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[i * channels + (channels > 2 ? c : 0)];
    image.data[4 * i + 3] = channels % 2 ? 255 : pixels[(i + 1) * channels - 1];
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const labelName = (number) => (number < 0 ? null : model.labels[number]);

/** What the form asks for: a seed, a label and a guidance for each picture. */
function readForm() {
  const seed = Math.min(Math.max(0, Math.floor(Number($("seed").value) || 0)), MAX_SEED);
  $("seed").value = seed;
  const choice = $("label") ? Number($("label").value) : -1, turn = choice === model.labels.length;
  const guidance = $("guidance") ? Number($("guidance").value) : model.table.guidance;
  return Array.from({length: COUNT}, (_, i) => ({
    seed: seed + i, label: turn ? i % model.labels.length : choice, guidance: Number.isFinite(guidance) ? guidance : 1,
  }));
}

function draw() {
  const requests = readForm(), batches = [1, COUNT - 1]; // the first picture comes early
  job += 1;
  drawing = true;
  frames = Array.from({length: STEPS}, () => new Array(COUNT));
  cells.forEach((cell, i) => {
    const {seed, label} = requests[i], batch = i < 1 ? batches[0] : batches[1];
    cell.request = {...requests[i], batch};
    cell.save.disabled = true;
    const name = labelName(label);
    cell.caption.textContent = name === null ? `${seed}` : `${name}, ${seed}`;
    cell.canvas.setAttribute("aria-label", `${name === null ? "picture" : name}, seed ${seed}`);
    cell.save.setAttribute("aria-label", `Save ${name === null ? "picture" : name}, seed ${seed}`);
    cell.canvas.getContext("2d").clearRect(0, 0, width, height);
  });
  $("draw").textContent = "Stop";
  $("progress").value = 0;
  $("steps").disabled = true;
  $("status").textContent = "Drawing…";
  performance.mark("draw");
  worker.postMessage({
    kind: "draw", job, batches, guidance: requests[0].guidance,
    seeds: requests.map(({seed}) => seed), labels: requests.map(({label}) => label),
  });
}

function finish(stopped) {
  drawing = false;
  $("draw").textContent = "Draw";
  const {duration} = performance.measure("drawn", "draw");
  $("status").textContent = stopped ? "Stopped." : `${COUNT} pictures in ${(duration / 1000).toFixed(1)} s.`;
  if (stopped) return;
  $("steps").disabled = false;
  $("steps").value = STEPS;
  showStep();
}

/** All pictures as they were estimated after the step of the slider. */
function showStep() {
  const step = Number($("steps").value);
  $("step").textContent = `${step} of ${STEPS}`;
  frames[step - 1].forEach((pixels, i) => showPixels(cells[i].canvas, pixels));
}

const received = {
  ready: draw,
  step({job: of, first, step, pixels}) {
    if (of !== job) return;
    pixels.forEach((one, i) => {
      frames[step - 1][first + i] = one;
      showPixels(cells[first + i].canvas, one);
      if (step === STEPS) cells[first + i].save.disabled = false;
    });
    if (step === STEPS && first === 0) performance.mark("first picture");
    $("progress").value = (first * STEPS + pixels.length * step) / (COUNT * STEPS);
    $("step").textContent = `${step} of ${STEPS}`;
  },
  done: ({job: of, stopped}) => of === job && finish(stopped),
  failed: ({message}) => fail(message),
};

function fail(message) {
  drawing = false;
  $("draw").disabled = true;
  $("status").textContent = `This browser cannot draw: ${message}`;
}

/** The PNG file of a finished picture, with the record by which `noisette sample --like` draws it again. */
function encodeCell(index) {
  const {seed, label, guidance, batch} = cells[index].request;
  const record = {...model.record, seed, label: labelName(label), guidance, batch};
  const texts = {"XML:com.adobe.xmp": model.xmp, noisette: JSON.stringify(record)};
  return encodePng(frames[STEPS - 1][index], width, height, model.mode, texts);
}

async function savePicture(index) {
  const {seed, label} = cells[index].request;
  const slug = (labelName(label) ?? "").normalize("NFC").replace(/[^\p{L}\p{N}_]+/gu, "-").replace(/^-|-$/g, "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([await encodeCell(index)], {type: "image/png"}));
  link.download = `${slug.toLowerCase().slice(0, 60)}${slug && "-"}${String(seed).padStart(6, "0")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (drawing) worker.postMessage({kind: "stop", job});
  else draw();
});
$("random").addEventListener("click", () => {
  $("seed").value = crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
  if (drawing) worker.postMessage({kind: "stop", job});
  draw();
});
$("steps").addEventListener("input", showStep);
addEventListener("resize", setScale);
setScale();

let worker;

/** The worker, which starts ONNX Runtime while the rest of the page is still being read. */
async function startWorker() {
  const parts = ["runtime-code", "worker-code", "glue"].map(readPart);
  const [runtime, code, own, glue] = await Promise.all([readPacked("runtime"), ...parts]);
  worker = new Worker(URL.createObjectURL(new Blob([code, "\n", own], {type: "text/javascript"})));
  worker.onmessage = ({data}) => received[data.kind](data);
  worker.onerror = (event) => fail(event.message);
  worker.postMessage({kind: "start", runtime, glue}, [runtime.buffer]);
}

async function sendModel() {
  if (document.readyState === "loading") await new Promise((done) => addEventListener("DOMContentLoaded", done));
  const [network, prior] = await Promise.all(["network", "prior"].map((id) => ($(id) ? readPart(id) : null)));
  await started;
  const transferred = [network, prior].filter(Boolean).map(({buffer}) => buffer);
  worker.postMessage({kind: "open", table: model.table, files: {network, prior}}, transferred);
  $("draw").disabled = $("random").disabled = false;
}

const started = startWorker();
sendModel().catch((error) => fail(error.message));
