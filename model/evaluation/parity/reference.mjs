// The original model, run by TensorFlow.js itself: layers model, pure JavaScript backend, under Node.
//
//   node reference.mjs MODEL_FOLDER PIXELS_FILE OUTPUT_FILE
//
// MODEL_FOLDER   the package's ResNet50/ folder: topology, weight manifest, shards
// PIXELS_FILE    uint8, N x 224 x 224 x 3, blue green red
// OUTPUT_FILE    float32, N x 1000, appended picture by picture
//
// Everything is the file's own but one number: its batch norms state epsilon 1e-3 (the library's default), while
// the weights were trained with 1.001e-5 (keras.applications.resnet), so that is what they get here.

import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { loadLayersModel } from "@tensorflow/tfjs-layers";
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";

const KERAS_EPSILON = 1.001e-5;
const CAFFE_MEAN_BGR = [103.939, 116.779, 123.68];
const SIDE = 224;

async function readModel(folder) {
  const { modelTopology, weightsManifest } = JSON.parse(await readFile(join(folder, "model.json"), "utf8"));
  let norms = 0;
  for (const layer of modelTopology.model_config.config.layers) {
    if (layer.class_name === "BatchNormalization") {
      layer.config.epsilon = KERAS_EPSILON;
      norms += 1;
    }
  }
  console.error(`Batch-norm epsilon set to ${KERAS_EPSILON} in ${norms} layers`);
  const shards = [];
  for (const path of weightsManifest.flatMap((group) => group.paths)) {
    shards.push(await readFile(join(folder, path)));
  }
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  const weightSpecs = weightsManifest.flatMap((group) => group.weights);
  return loadLayersModel({ load: async () => ({ modelTopology, weightSpecs, weightData }) });
}

const [modelFolder, pixelsFile, outputFile] = process.argv.slice(2);
await tf.setBackend("cpu");
const model = await readModel(modelFolder);
const pixels = await readFile(pixelsFile);
const bytesEach = SIDE * SIDE * 3;
for (let offset = 0; offset < pixels.length; offset += bytesEach) {
  const started = performance.now();
  const probabilities = tf.tidy(() => {
    const picture = tf.tensor4d(Float32Array.from(pixels.subarray(offset, offset + bytesEach)), [1, SIDE, SIDE, 3]);
    return model.predict(tf.sub(picture, CAFFE_MEAN_BGR)).dataSync();
  });
  await appendFile(outputFile, Buffer.from(probabilities.buffer, probabilities.byteOffset, probabilities.byteLength));
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.error(`Picture ${offset / bytesEach + 1} of ${pixels.length / bytesEach}: ${seconds} s`);
}
