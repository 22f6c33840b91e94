"""One picture from the operator's camera, over HTTP. Why it is as it is: docs/decisions/0059-a-camera.md."""
