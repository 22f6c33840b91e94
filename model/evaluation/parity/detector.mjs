// The original detector, run by TensorFlow.js itself: graph model, pure JavaScript backend, under Node.
//
//   node detector.mjs MODEL_FOLDER PIXELS_FILE OUTPUT_FILE
//
// MODEL_FOLDER   the package's models/coco-ssd/ folder: topology, weight manifest, shards
// PIXELS_FILE    uint8, N x 300 x 300 x 3, red green blue
// OUTPUT_FILE    float32, of each picture 1917 x 4 numbers of boxes, then 1917 x 90 scores
//
// The whole graph is run. It begins by scaling a picture to 300 x 300, which leaves one of this size as it is.

import "@tensorflow/tfjs-backend-cpu";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import * as tf from "@tensorflow/tfjs-core";
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";

const BOXES = "Postprocessor/ExpandDims_1";
const SCORES = "Postprocessor/Slice";
const SIDE = 300;

async function readModel(folder) {
  const { modelTopology, weightsManifest } = JSON.parse(await readFile(join(folder, "model.json"), "utf8"));
  const shards = [];
  for (const path of weightsManifest.flatMap((group) => group.paths)) {
    shards.push(await readFile(join(folder, path)));
  }
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  const weightSpecs = weightsManifest.flatMap((group) => group.weights);
  return loadGraphModel({ load: async () => ({ modelTopology, weightSpecs, weightData }) });
}

const [modelFolder, pixelsFile, outputFile] = process.argv.slice(2);
await tf.setBackend("cpu");
const model = await readModel(modelFolder);
const pixels = await readFile(pixelsFile);
const bytesEach = SIDE * SIDE * 3;
for (let offset = 0; offset < pixels.length; offset += bytesEach) {
  const started = performance.now();
  const picture = Int32Array.from(pixels.subarray(offset, offset + bytesEach));
  const input = tf.tensor4d(picture, [1, SIDE, SIDE, 3], "int32");
  for (const output of await model.executeAsync(input, [BOXES, SCORES])) {
    const numbers = output.dataSync();
    await appendFile(outputFile, Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength));
    output.dispose();
  }
  input.dispose();
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.error(`Picture ${offset / bytesEach + 1} of ${pixels.length / bytesEach}: ${seconds} s`);
}
