// The worker: ONNX Runtime and the sampler, so that the page itself never waits.
//
//     in   {kind: "open", files: {runtime, glue, network, prior}, table}      files: ArrayBuffer, glue: its text
//          {kind: "draw", job, seeds, labels, guidance, batches}              batches: numbers of pictures
//          {kind: "stop", job}
//     out  {kind: "ready"}, {kind: "step", job, first, step, pixels}, {kind: "done", job, stopped}
//          {kind: "failed", message}

let sessions = null, table = null, stopped = -1;

async function open({files, table: given}) {
  table = given;
  ort.env.wasm.numThreads = 1; // more need cross-origin isolation, which a file on disk cannot have
  ort.env.wasm.wasmBinary = files.runtime;
  ort.env.wasm.wasmPaths = {mjs: URL.createObjectURL(new Blob([files.glue], {type: "text/javascript"}))};
  sessions = {};
  const options = {executionProviders: ["wasm"], graphOptimizationLevel: "disabled"}; // the export has optimized it
  for (const name of ["network", "prior"])
    if (files[name]) sessions[name] = await ort.InferenceSession.create(new Uint8Array(files[name]), options);
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

onmessage = ({data}) => {
  if (data.kind === "stop") stopped = data.job;
  else (data.kind === "open" ? open : draw)(data).catch((error) => postMessage({kind: "failed", message: `${error}`}));
};
