// The worker: ONNX Runtime and the sampler, so that the page itself never waits.
//
//     in   {kind: "start", runtime, glue}                   bytes of ONNX Runtime's WebAssembly, packed, and of its module
//          {kind: "open", files: {network, prior}, table}   bytes of ONNX files
//          {kind: "draw", job, seeds, labels, guidance, batches}              batches: numbers of pictures
//          {kind: "stop", job}
//     out  {kind: "ready"}, {kind: "step", job, first, step, pixels}, {kind: "done", job, stopped}
//          {kind: "failed", message}

// An ONNX file with the operation Identity: a session of it makes the runtime start.
const IDENTITY = "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBI=";
const OPTIONS = {executionProviders: ["wasm"], graphOptimizationLevel: "disabled"}; // the export has optimized them

let sessions = null, table = null, stopped = -1, started = null;

async function start({runtime, glue}) {
  ort.env.wasm.numThreads = 1; // more need cross-origin isolation, which a file on disk cannot have
  ort.env.wasm.wasmPaths = {mjs: URL.createObjectURL(new Blob([glue], {type: "text/javascript"}))};
  ort.env.wasm.wasmBinary = (await unpack(runtime, 1)).buffer;
  await ort.InferenceSession.create(fromBase64(IDENTITY), OPTIONS);
}

async function open({files, table: given}) {
  await started;
  table = given;
  sessions = {};
  for (const [name, bytes] of Object.entries(files))
    if (bytes) sessions[name] = await ort.InferenceSession.create(bytes, OPTIONS);
  postMessage({kind: "ready"});
}

async function draw({job, seeds, labels, guidance, batches}) {
  let first = 0;
  for (const count of batches) {
    const rows = [first, first + count];
    let step = 0;
    for await (const x of walk(sessions, table, seeds.slice(...rows), labels.slice(...rows), guidance)) {
      postMessage({kind: "step", job, first, step: ++step, pixels: toPixels(x, table, count)});
      await new Promise((resolve) => setTimeout(resolve)); // for messages to arrive
      if (stopped >= job) return postMessage({kind: "done", job, stopped: true});
    }
    first += count;
  }
  postMessage({kind: "done", job, stopped: false});
}

const fail = (error) => postMessage({kind: "failed", message: `${error}`});

onmessage = ({data}) => {
  if (data.kind === "stop") stopped = data.job;
  else if (data.kind === "start") (started = start(data)).catch(fail);
  else (data.kind === "open" ? open : draw)(data).catch(fail);
};
