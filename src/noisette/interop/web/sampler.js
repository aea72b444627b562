// The sampler: a table of steps, each with network calls and a result, which are weighted sums of known arrays
// (`noisette.interop.sampler_table`). Arrays hold a batch: batch × channels × height × width.

/** `count` copies of a number. */
const repeated = (value, count) => new Float32Array(count).fill(value);

/** The inputs by which a network knows what to draw: label numbers, -1 for none; no attributes. */
function conditionTensors(table, labels) {
  const inputs = {};
  if (table.inputs.label) inputs.label = new ort.Tensor("int64", BigInt64Array.from(labels, BigInt), [labels.length]);
  if (table.inputs.vector) {
    const width = table.inputs.vector[1];
    inputs.vector = new ort.Tensor("float32", repeated(NaN, width * labels.length), [labels.length, width]);
  }
  return inputs;
}

/** The output of a session, without the logits of a learned variance. */
async function callNetwork(session, call, x, batch, shape, conditions) {
  const size = shape.reduce((a, b) => a * b), scaled = x.map((value) => value * call.c_in);
  const column = (value) => new ort.Tensor("float32", repeated(value, batch), [batch]);
  const known = {
    x: new ort.Tensor("float32", scaled, [batch, ...shape]), noise_label: column(call.noise_label),
    alpha: column(call.alpha), sigma: column(call.sigma), ...conditions,
  };
  const feeds = Object.fromEntries(session.inputNames.map((name) => [name, known[name]]));
  const {out} = await session.run(feeds);
  const width = out.data.length / batch;
  if (width === size) return out.data;
  const kept = new Float32Array(batch * size);
  for (let i = 0; i < batch; i++) kept.set(out.data.subarray(i * width, i * width + size), i * size);
  return kept;
}

/** Predicted x0, clipped to [-1, 1], and eps; with classifier-free guidance. */
async function predict(sessions, table, call, x, labels, guidance) {
  const shape = table.inputs.x.slice(1), batch = labels.length, session = sessions[call.network];
  const run = (some) => callNetwork(session, call, x, batch, shape, conditionTensors(table, some));
  let out = await run(labels);
  if (guidance !== 1) {
    const unguided = await run(labels.map(() => -1));
    out = out.map((value, i) => unguided[i] + guidance * (value - unguided[i]));
  }
  const [a, b] = call.x0, x0 = new Float32Array(x.length), eps = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    x0[i] = Math.min(1, Math.max(-1, a * out[i] + b * x[i]));
    eps[i] = (x[i] - call.alpha * x0[i]) / call.sigma;
  }
  return [x0, eps];
}

/**
 * The walk from noise to pictures, as an async generator: after every step the estimate of the picture, at the end the
 * picture itself, both in [-1, 1] with premultiplied alpha.
 *
 * sessions: ONNX Runtime's, by the names in the calls. seeds, labels: one of each for every picture.
 */
async function* walk(sessions, table, seeds, labels, guidance) {
  const size = table.inputs.x.slice(1).reduce((a, b) => a * b), streams = seeds.map((seed) => new SeededNoise(seed));
  const drawNoise = () => {
    const noise = new Float32Array(seeds.length * size);
    streams.forEach((stream, i) => noise.set(stream.normal(size), i * size));
    return noise;
  };
  const known = {x: drawNoise().map((value) => value * table.initial_scale)};
  const total = (sums) => {
    const result = new Float32Array(seeds.length * size);
    for (const [name, weight] of Object.entries(sums))
      known[name].forEach((value, i) => { result[i] += weight * value; });
    return result;
  };
  let calls = 0;
  for (const [number, step] of table.steps.entries()) {
    for (let i = 0; i < step.noises; i++) known[`z.${i}`] = drawNoise();
    let estimate = known.x;
    for (const call of step.calls) {
      const k = calls++ % table.history_size;
      [known[`x0.${k}`], known[`eps.${k}`]] = await predict(sessions, table, call, total(call.x), labels, guidance);
      estimate = known[`x0.${k}`];
    }
    known.x = total(step.result);
    yield number + 1 < table.steps.length ? estimate : known.x;
  }
}

/** Pictures in [-1, 1] with premultiplied alpha as bytes with straight alpha, height × width × channels each. */
function toPixels(x, table, batch) {
  const [channels, height, width] = table.inputs.x.slice(1), area = height * width;
  const hasAlpha = channels % 2 === 0, [low, high] = table.alpha_snap;
  const unit = (value) => Math.min(1, Math.max(0, value)), byte = (value) => Math.round(255 * value);
  return Array.from({length: batch}, (_, picture) => {
    const pixels = new Uint8Array(area * channels);
    for (let i = 0; i < area; i++) {
      const at = (c) => unit((x[(picture * channels + c) * area + i] + 1) / 2);
      const a = hasAlpha ? at(channels - 1) : 1;
      const alpha = a * 255 <= low + 0.5 ? 0 : a * 255 > high - 0.5 ? 1 : a;
      for (let c = 0; c < channels - (hasAlpha ? 1 : 0); c++) {
        const color = hasAlpha ? unit(at(c) / Math.max(a, 1e-6)) : at(c);
        pixels[i * channels + c] = !hasAlpha || alpha > 0.5 / 255 ? byte(color) : 0;
      }
      if (hasAlpha) pixels[i * channels + channels - 1] = byte(alpha);
    }
    return pixels;
  });
}
