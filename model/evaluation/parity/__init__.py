"""Our ONNX graphs beside the original models, run by TensorFlow.js and PyTorch; see README.md in this folder."""
