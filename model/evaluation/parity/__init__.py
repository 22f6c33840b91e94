"""Our ONNX graph beside the original model run by TensorFlow.js; see README.md in this folder."""
